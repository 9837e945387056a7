"""What the calls of a test gave here, for what refers to it."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

from . import snapshot
from .finding import Absent, Blocked, checked

MISSING = object()


class Result:
    """What a call gave here: an object, an exception, or nothing because it failed."""

    __slots__ = ("error", "failed", "items", "iterator", "value")

    def __init__(self, value: Any = MISSING, error: Optional[BaseException] = None, failed: str = "") -> None:
        """Hold one of the three."""
        self.value, self.error, self.failed = value, error, failed
        self.iterator: Any = None
        self.items: List[Any] = []  # what a generator has yielded


class Results:
    """What calls gave, by their number in the trace."""

    def __init__(self, trace: Any) -> None:
        """Hold nothing yet."""
        self.trace = trace
        self.held: Dict[int, Result] = {}

    def of(self, call: int, path: List[List[Any]]) -> Any:
        """Return what an earlier call gave, or a part of it; raises Blocked where there is none."""
        held = self.held.get(call)
        if held is None:
            raise Blocked(call, "call %d was not made" % call)
        if path and path[0][0] == "x":
            if held.error is None:
                raise Blocked(call, "%s raised nothing" % self.trace.name(call))
            return held.error
        if held.value is MISSING:
            raise Blocked(call, self.trace.name(call))
        root, way = held.value, path
        if path and path[0][0] == "y":
            if not 1 <= path[0][1] <= len(held.items):
                raise Absent(call, "%s yielded no item %d" % (self.trace.name(call), path[0][1]))
            root, way = held.items[path[0][1] - 1], path[1:]
        try:
            return checked(snapshot.path_of(root, way), "what %s gave" % self.trace.name(call))
        except (LookupError, AttributeError, TypeError):
            raise Absent(call, "%s gave nothing at %s" % (self.trace.name(call), show(path))) from None

    def hold(self, ident: int, value: Any) -> None:
        """Let references find what a stub is handed."""
        self.held[ident] = Result(value)


def show(path: List[List[Any]]) -> str:
    """Return a path as Python spells it."""
    return "".join(".%s" % key if kind == "a" else "[%r]" % key for kind, key in path)
