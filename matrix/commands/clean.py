"""``caliper-matrix clean``: empty the cache of ``caliper-matrix run``, which lies where the platform keeps caches."""

import argparse
import json
import shutil
from pathlib import Path

from platformdirs import user_cache_path

from matrix import cli
from matrix.errors import CaliperError

EXAMPLES = """\
examples:
  caliper-matrix clean
  caliper-matrix clean --json

What the noxfile of a project makes lies in its folder .nox, which can be removed.
"""


class CleaningError(CaliperError):
    """The cache cannot be removed."""

    def __init__(self, error: OSError) -> None:
        """Say which file, and why."""
        super().__init__(f"{error.filename}: cannot be removed ({error.strerror}); remove it by hand")


def cache_folder() -> Path:
    """Return where environments and runs are kept that are not beside a noxfile."""
    return user_cache_path("caliper-matrix", appauthor=False)


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = EXAMPLES
    parser.add_argument("--json", action="store_true", help="print what was removed as JSON")


def run(options: argparse.Namespace) -> int:
    """Remove the cache and say how much that was.

    Raises:
        CleaningError: a file of it cannot be removed.
    """
    folder = cache_folder()
    size = sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
    try:
        if folder.exists():
            shutil.rmtree(folder)
    except OSError as error:
        raise CleaningError(error) from error
    if options.json:
        print(json.dumps({"folder": str(folder), "bytes": size}))
    else:
        print(f"removed {size / 1e6:.1f} MB in {folder}" if size else f"nothing to remove in {folder}")
    return cli.FINE
