"""The registry, through real clients over real sockets."""
