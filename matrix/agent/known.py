"""The objects that calls gave, by identity: so that a later argument can be a reference to them."""

from __future__ import annotations

import itertools
import sys
import types
import weakref
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .standard import STD_BY_TYPE
from .symbols import resolves, symbol_of

Path = List[List[Any]]
# Strings this short are shared by the interpreter, and equal ones are everywhere.
SHORT = 8
# A text that came out of a call and stands inside a later argument was taken from there, if it is this distinctive.
DISTINCTIVE = 16
MAX_PARTS = 300
# Numbers from here on come from somewhere.
LARGE = 1 << 40
FIXED = {
    "complex", "range", "date", "datetime", "time", "timedelta", "timezone", "Decimal", "Fraction", "UUID",
    "Path", "PurePosixPath", "PureWindowsPath", "LogRecord",
}  # fmt: skip
ATOMS = (bool, int, float, type(None), type(NotImplemented), type(Ellipsis))
PLAIN = (*ATOMS, str, bytes, list, dict, tuple, set, frozenset)


class Entry:
    """Where an object came from: the call's id and the path from its result."""

    __slots__ = ("call", "hold", "path", "seen", "strong")

    def __init__(self, obj: Any, call: int, path: Path, seen: Any) -> None:
        """Hold the object weakly where that is possible, so that it dies when it would."""
        self.call, self.path, self.seen = call, path, seen
        self.strong = False
        try:
            self.hold: Any = weakref.ref(obj)
        except TypeError:
            self.strong, self.hold = True, lambda: obj

    def is_gone(self) -> bool:
        """Say whether the object died, or nothing but this refers to it."""
        return sys.getrefcount(self.hold()) <= ALONE if self.strong else self.hold() is None


def count_alone() -> int:
    """Return the count of references to an object that nothing but an entry holds."""
    return sys.getrefcount(Entry([], 0, [], None).hold())


ALONE = count_alone()


class Known:
    """Results and their parts."""

    def __init__(self) -> None:
        """Begin with none."""
        self.entries: Dict[int, Entry] = {}
        self.roots: Dict[int, Entry] = {}
        self.slotted: Dict[int, Entry] = {}  # objects whose attributes lie in slots
        self.has_home: Callable[[Any], bool] = lambda obj: False  # whether it is found without a call
        self.given: set[str] = set()
        self.texts: Dict[str, Tuple[int, Path]] = {}
        self.readings: Dict[int, Tuple[Any, int, int]] = {}
        self.clocks = 0

    def read(self, value: Any, calls: int) -> int:
        """Give a reading of the clock, taken after so many calls, its number."""
        self.clocks += 1
        self.readings[id(value)] = (value, self.clocks, calls)
        return self.clocks

    def reading(self, value: Any) -> Optional[Tuple[int, int]]:
        """Return the number of a reading of the clock, and the calls before it."""
        held = self.readings.get(id(value))
        return held[1:] if held is not None and held[0] is value else None

    def forget(self) -> None:
        """Forget the texts and the times of the last test, and objects that are gone."""
        self.readings.clear()
        self.given.clear()
        self.texts.clear()
        self.forget_gone()

    def forget_gone(self) -> None:
        """Forget objects that are gone."""
        for entries in (self.entries, self.roots, self.slotted):
            for ident in [ident for ident, entry in entries.items() if entry.is_gone()]:
                del entries[ident]

    def add(self, obj: Any, call: int, seen: Any, path: Path) -> None:
        """Remember what a call gave at ``path``, and its parts; ``seen`` is its value as it was returned."""
        if is_atom(obj) or (id(obj) in self.entries and self.get(obj) is not None):
            return
        self.put(obj, call, path, seen)
        if has_slots(obj):
            self.slotted[id(obj)] = self.entries[id(obj)]
        elif hasattr(obj, "__dict__") and not isinstance(obj, type):
            self.roots[id(obj)] = self.entries[id(obj)]
        for count, (part, inner) in enumerate(parts(obj, path, 0)):
            if count > MAX_PARTS:
                break
            self.put(part, call, inner, None)

    def hand(self, obj: Any, call: int, key: Any, is_own: Callable[[Any], bool]) -> None:
        """Remember what a function of the caller's was handed: ``key`` is the parameter, or how often it had yielded.

        What is the caller's own (``is_own``) came from the caller; plain data, and what never changes, is its value.
        """
        for part, path in [(obj, []), *itertools.islice(parts(obj, [], 0), MAX_PARTS)]:
            if type(part) not in PLAIN and not is_fixed(part) and not is_own(part):
                self.put(part, call, [["k", key], *path], None)
                if hasattr(part, "__dict__") and not isinstance(part, type):
                    self.roots.setdefault(id(part), self.entries[id(part)])

    def forget_handed(self, obj: Any, call: int) -> None:
        """Forget that a function of the caller's was handed an object while a call was still making it."""
        entry = self.get(obj)
        if entry is not None and entry.call > call:
            del self.entries[id(obj)]

    def put(self, obj: Any, call: int, path: Path, seen: Any) -> None:
        """Remember one object."""
        if type(obj) is str:
            if len(obj) >= DISTINCTIVE and obj not in self.given:
                self.texts.setdefault(obj, (call, path))
            if len(obj) < SHORT or obj in self.given:
                return
        if is_atom(obj) or type(obj) is bytes or (type(obj) is tuple and not obj) or self.has_home(obj):
            return
        if path and isinstance(obj, type) and resolves(symbol_of(obj) or "", obj):
            return  # a class that has a name is no part of what a call made
        held = self.get(obj)
        if held is None:
            self.entries[id(obj)] = Entry(obj, call, path, seen)

    def get(self, obj: Any) -> Optional[Entry]:
        """Return where ``obj`` came from, if that is known."""
        entry = self.entries.get(id(obj))
        return entry if entry is not None and entry.hold() is obj else None

    def function(self, frame: types.FrameType) -> Optional[types.FunctionType]:
        """Return the function that an earlier call gave and that runs in ``frame``: its code and its closure tell."""
        inner = frame.f_code.co_freevars
        for entry in reversed(list(self.entries.values())):
            made = entry.hold()
            if type(made) is types.FunctionType and made.__code__ is frame.f_code:
                cells = zip(inner, made.__closure__ or ())
                if all(content(cell) is frame.f_locals.get(name, EMPTY) for name, cell in cells):
                    return made
        return None

    def inside(self, text: str) -> Optional[Tuple[str, int, Path]]:
        """Return a known text that stands inside ``text``, with where it came from."""
        for known, (call, path) in self.texts.items():
            if known in text and known != text:
                return known, call, path
        return None


def is_atom(obj: Any) -> bool:
    """Say whether a value is the same wherever it comes from; large numbers are as good as objects: hashes."""
    return type(obj) in ATOMS and not (type(obj) is int and abs(obj) >= LARGE)


def is_fixed(obj: Any) -> bool:
    """Say whether an object of the standard library is what it is made of, for ever."""
    name = STD_BY_TYPE.get(type(obj), type(obj).__name__ if type(obj).__module__ == "logging" else "")
    return name in FIXED


def has_slots(obj: Any) -> bool:
    """Say whether an object has no attributes but in slots, and is no data of the standard library's."""
    if hasattr(obj, "__dict__") or isinstance(obj, type) or type(obj) in STD_BY_TYPE:
        return False
    return any(vars(kind).get("__slots__") for kind in type(obj).__mro__ if kind.__module__ != "builtins")


EMPTY = object()


def content(cell: Any) -> Any:
    """Return what a cell of a closure holds, ``EMPTY`` where nothing yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return EMPTY


def parts(obj: Any, path: Path, depth: int) -> Iterator[Tuple[Any, Path]]:
    """Yield what can be reached in a result without asking its class: items, and the headers of an answer."""
    if depth > 6:
        return
    if type(obj) is dict:
        found = [(item, [*path, ["k", key]]) for key, item in obj.items() if isinstance(key, (str, int))]
    elif type(obj) is list:
        found = [(item, [*path, ["k", index]]) for index, item in enumerate(obj)]
    elif isinstance(obj, tuple):
        found = [(item, [*path, ["k", index]]) for index, item in enumerate(tuple.__iter__(obj))]
    elif depth == 0 and is_answer(obj):
        headers = vars(obj)["headers"]
        found = [(headers[key], [*path, ["a", "headers"], ["k", key]]) for key in list(headers)]
    else:
        return
    for item, inner in found:
        yield item, inner
        yield from parts(item, inner, depth + 1)


def is_answer(obj: Any) -> bool:
    """Say whether an object has the shape of an HTTP response."""
    try:
        state = vars(obj)
    except TypeError:
        return False
    return "status_code" in state and hasattr(state.get("headers"), "keys")
