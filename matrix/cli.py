"""Arguments to one function per subcommand; the only place that prints errors and exits."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from matrix import __version__
from matrix.errors import CaliperError

FINE, FINDINGS, USAGE, INTERRUPTED = 0, 1, 2, 130

# Name: (module, one line of help). A module has `configure(parser)` and `run(arguments) -> int`, and is imported only
# when its command is asked for: `--version` and `--help` stay free of pandas, matplotlib and griffe.
COMMANDS: dict[str, tuple[str, str]] = {
    "record": ("matrix.commands.record", "run a command under the recorder and keep a trace"),
    "replay": ("matrix.commands.replay", "judge any environment by a trace"),
    "matrix": ("matrix.commands.matrix", "make the matrix, the picture and the report of what was judged"),
    "truth": ("matrix.commands.truth", "run the recorded suite on every release, and score the map against it"),
    "mutants": ("matrix.commands.mutants", "plant faults in the recorded release, and count which the replay shows"),
    "releases": ("matrix.commands.releases", "list the releases of a package, or ask the index for them again"),
    "release": ("matrix.commands.release", "install one release and replay the traces there"),
    "trace": ("matrix.commands.trace", "show what a trace holds, before it is published"),
    "registry": ("matrix.commands.registry", "serve an OCI registry for tests, until Ctrl-C"),
    "explain": ("matrix.commands.explain", "tell why a function has its verdict on a release"),
    "floor": ("matrix.commands.floor", "tell the lowest release from which everything that is used works"),
    "verify": ("matrix.commands.verify", "check that a version specifier admits only releases that work"),
    "changes": ("matrix.commands.changes", "tell what turned between two results folders"),
    "signatures": ("matrix.commands.signatures", "read the signatures of every release into a database"),
    "diff": ("matrix.commands.diff", "tell what changed between two releases, and what of it is used"),
    "history": ("matrix.commands.history", "tell in which releases a function changed"),
    "predict": ("matrix.commands.predict", "tell by reading alone what works where, and how often that is right"),
    "publish": ("matrix.commands.publish", "push the results to a registry, as an OCI artifact"),
    "run": ("matrix.commands.run", "record a command here, and judge every release of a package by it"),
    "clean": ("matrix.commands.clean", "empty the cache"),
    "fetch": ("matrix.commands.fetch", "get published results back, every digest checked"),
}


def get_parser(command: str | None) -> argparse.ArgumentParser:
    """Return the parser, with the options of ``command`` only (the other subcommands by name)."""
    parser = argparse.ArgumentParser(prog="caliper-matrix", description=__doc__)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (module, summary) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if name == command:
            implementation = importlib.import_module(module)
            implementation.configure(subparser)
            subparser.set_defaults(run=implementation.run)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status: 0 fine, 1 findings, 2 usage or environment, 130 interrupted."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    command = next((argument for argument in arguments if not argument.startswith("-")), None)
    try:
        options = get_parser(command).parse_args(arguments)
        status = options.run(options)
    except CaliperError as error:
        print(f"caliper-matrix: {error}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    return int(status)
