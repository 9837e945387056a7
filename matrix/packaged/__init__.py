"""What ships for nox to load: a folder of its own, since nox makes it the working directory."""
