"""Which functions and lines of a package are executed."""

from __future__ import annotations

import sys
import threading
from typing import Any, Dict, List, Set, Tuple

# What is asked of a function to learn its parameters; Python tells of each time.
LOOKED_AT = ("__code__", "__defaults__", "__kwdefaults__")


class Reach:
    """Collects the functions that are entered in files below a folder, and the lines that are executed.

    A function whose code is asked for counts as entered: its parameters are what is seen of it then.
    """

    def __init__(self, folder: str) -> None:
        """Look below ``folder`` only; nowhere, if it is empty."""
        self.folder = folder
        self.entered: Set[Tuple[str, int]] = set()
        self.lines: Dict[str, Set[int]] = {}
        self.asking = False
        if folder:
            sys.addaudithook(self.audit)
            threading.settrace(self.trace)
            sys.settrace(self.trace)

    def trace(self, frame: Any, _event: str, _argument: Any) -> Any:
        """Note a call, and trace the lines of the function."""
        code = frame.f_code
        if not code.co_filename.startswith(self.folder):
            return None
        self.entered.add((code.co_filename, code.co_firstlineno))
        self.note(frame)
        return self.note

    def note(self, frame: Any, _event: str = "", _argument: Any = None) -> Any:
        """Note a line."""
        self.lines.setdefault(frame.f_code.co_filename, set()).add(frame.f_lineno)
        return self.note

    def audit(self, event: str, arguments: Tuple[Any, ...]) -> None:
        """Note that the code of a function is asked for, as ``inspect.signature`` does."""
        if self.asking or event != "object.__getattr__" or arguments[1] not in LOOKED_AT:
            return
        self.asking = True  # what follows is an event as well
        code = getattr(arguments[0], "__code__", None)
        self.asking = False
        if code is not None and code.co_filename.startswith(self.folder):
            self.entered.add((code.co_filename, code.co_firstlineno))

    def take(self) -> Dict[str, Any]:
        """Return what was ``entered``, and the ``lines`` by file, since this was last asked."""
        lines: Dict[str, List[int]] = {name: sorted(found) for name, found in sorted(self.lines.items())}
        found = {"entered": sorted(self.entered), "lines": lines}
        self.entered, self.lines = set(), {}
        return found
