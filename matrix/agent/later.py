"""Files of the suite that do not name the subject: they get their probes once it is there, if ever.

A program that never comes to the subject then runs as it does without a recorder. When a module of the subject is
first loaded, the functions that such files have made until then get the code that they would have had from the start;
only a body that is under way goes on as it was.
"""

from __future__ import annotations

import gc
import sys
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

Make = Callable[[], types.CodeType]
Key = Tuple[str, int, Tuple[str, ...]]


class Later:
    """The files whose probes are put off."""

    def __init__(self, modules: Tuple[str, ...], trouble: Callable[[Exception], None]) -> None:
        """Take the subject's modules, and who is told of an error."""
        self.names, self.trouble = [name.encode() for name in modules], trouble
        self.waiting: Dict[str, Make] = {}
        self.unfinished: Dict[str, types.CodeType] = {}  # the code of modules that were being loaded then
        self.over = False

    def puts_off(self, source: bytes, path: str, make: Make) -> bool:
        """Say whether a file may do without probes for now; ``make()`` returns its code with them."""
        if self.over or any(name in source for name in self.names):
            return False
        self.waiting[path] = make
        return True

    def end(self) -> None:
        """Put off nothing any more: the subject is about to be loaded."""
        self.over = True
        tried = {path: self.attempt(make) for path, make in self.waiting.items()}
        made = {path: code for path, code in tried.items() if code is not None}
        self.waiting.clear()
        self.unfinished = {path: made[path] for path in being_loaded() if path in made}
        put_in(made)

    def attempt(self, make: Make) -> Optional[types.CodeType]:
        """Return the code of a module with its probes; None where it cannot be made."""
        try:
            return make()
        except Exception as error:
            self.trouble(error)
            return None

    def finish(self) -> None:
        """Give what modules have made since, that were being loaded when the subject was, their probes as well."""
        made, self.unfinished = self.unfinished, {}
        put_in(made)


def being_loaded() -> List[str]:
    """Return the files whose modules are being loaded, further up."""
    found = []
    frame: Any = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == "<module>":
            found.append(frame.f_code.co_filename)
        frame = frame.f_back
    return found


def put_in(made: Dict[str, types.CodeType]) -> None:
    """Give the functions of some files the code that they have in ``made``."""
    if not made:
        return
    codes = {path: by_key(code) for path, code in made.items()}
    for item in gc.get_objects():
        if type(item) is types.FunctionType:
            code = item.__code__
            new = codes.get(code.co_filename, {}).get(key_of(code), [])
            if len(new) == 1 and new[0].co_freevars == code.co_freevars:
                item.__code__ = new[0]


def by_key(module: types.CodeType) -> Dict[Key, List[types.CodeType]]:
    """Return the codes in that of a module; those of lambdas in one line cannot be told apart."""
    found: Dict[Key, List[types.CodeType]] = {}
    pending = [module]
    while pending:
        code = pending.pop()
        found.setdefault(key_of(code), []).append(code)
        pending += [item for item in code.co_consts if isinstance(item, types.CodeType)]
    return found


def key_of(code: types.CodeType) -> Key:
    """Return what tells the functions of a file apart: name, first line, parameters."""
    count = code.co_argcount + code.co_kwonlyargcount
    return code.co_name, code.co_firstlineno, code.co_varnames[:count]
