"""Runs a program as somebody else would see it: files that belong to this user belong to a stranger.

A baseline replays a trace once like this, so that what depends on who replays (the owner in a tar archive) is found to
be noise, and results are equal for root, for you and in a container. Started by path, with the program's path after it.
"""

import os
import runpy
import sys
from typing import Any, Callable, cast

STRANGER = 54321


def seen_by_stranger(look: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
    """Return one of os.stat and its kind, which tells of another owner."""

    def told(*arguments: Any, **options: Any) -> os.stat_result:
        found = look(*arguments, **options)
        kind, (values, more) = cast("Any", found.__reduce__())
        if found.st_uid != os.getuid():
            return found
        return cast("os.stat_result", kind((*values[:4], STRANGER, STRANGER, *values[6:]), more))

    return told


def main() -> None:
    """Become a stranger, then the program."""
    for name in ("stat", "lstat", "fstat"):
        setattr(os, name, seen_by_stranger(getattr(os, name)))
    del sys.argv[0]
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
