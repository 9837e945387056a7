"""Which functions of a package are executed."""

from __future__ import annotations

import sys
import threading
from typing import Any, List, Set, Tuple


class Reach:
    """Collects (file, first line) of each function that is entered in files below a folder."""

    def __init__(self, folder: str) -> None:
        """Look below ``folder`` only; nowhere, if it is empty."""
        self.folder = folder
        self.entered: Set[Tuple[str, int]] = set()
        if folder:
            threading.settrace(self.trace)
            sys.settrace(self.trace)

    def trace(self, frame: Any, _event: str, _argument: Any) -> None:
        """Note a call; lines are of no interest."""
        code = frame.f_code
        if code.co_filename.startswith(self.folder):
            self.entered.add((code.co_filename, code.co_firstlineno))

    def take(self) -> List[Tuple[str, int]]:
        """Return what was entered since this was last asked."""
        found, self.entered = sorted(self.entered), set()
        return found
