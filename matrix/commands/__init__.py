"""One module for each subcommand: `configure(parser)` and `run(options) -> exit status`."""
