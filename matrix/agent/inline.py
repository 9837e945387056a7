"""Arguments of inner calls, each by itself: an object is how it was constructed and what state it was in."""

from __future__ import annotations

import io
import sys
import types
import weakref
from typing import Any, Dict, List, Optional

from .known import is_answer
from .symbols import symbol_of
from .values import Encoder, Json

# Objects inside of objects are followed this far.
DEPTH = 6
# Distinct inner calls of one function that are kept: beyond, they say nothing new and cost time.
MOST = 1000


class Constructed:
    """How an object was constructed."""

    __slots__ = ("arguments", "code", "frame", "hold", "over", "symbol")

    def __init__(self, obj: Any, symbol: str, arguments: List[Json], frame: types.FrameType) -> None:
        """Hold the object weakly where that is possible."""
        self.symbol, self.arguments, self.frame, self.code = symbol, arguments, id(frame), frame.f_code
        self.over = False
        try:
            self.hold: Any = weakref.ref(obj)
        except TypeError:
            self.hold = lambda: obj

    def is_under_way(self) -> bool:
        """Say whether the constructor still runs, somewhere up the stack; one that does not never will again."""
        frame: Optional[types.FrameType] = None if self.over else sys._getframe(1)
        while frame is not None:
            if id(frame) == self.frame and frame.f_code is self.code:
                return True
            frame = frame.f_back
        self.over = True
        return False


class Inline:
    """Makes self-contained values for one recorder."""

    def __init__(self, snapshots: Any) -> None:
        """Begin with no constructor call seen."""
        self.snapshots = snapshots
        self.constructed: Dict[int, Constructed] = {}
        self.on = False
        self.distinct: Dict[str, Dict[str, Dict[str, Json]]] = {}

    def construct(self, frame: types.FrameType, obj: Any, arguments: List[Json]) -> None:
        """Note how an object is constructed; the outermost ``__init__`` is the one that its maker called."""
        symbol = symbol_of(type(obj))
        if symbol and self.find(obj) is None:
            self.constructed[id(obj)] = Constructed(obj, symbol, arguments, frame)

    def find(self, obj: Any) -> Optional[Constructed]:
        """Return how an object was constructed, if that was seen."""
        found = self.constructed.get(id(obj))
        return found if found is not None and found.hold() is obj else None

    def make(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return the value of an object that is no plain data."""
        snapshots = self.snapshots
        if isinstance(obj, io.IOBase) and isinstance(getattr(obj, "name", None), str):
            return opened(encoder, obj)
        if is_answer(obj):
            return answer(encoder, obj, depth)
        if not snapshots.is_subjects(type(obj)) or isinstance(obj, (type, BaseException)):
            return None
        found = self.find(obj)
        if found is None:
            return self.unconstructed(encoder, obj, depth)
        if depth > DEPTH:
            return {"$opaque": "objects in objects, deeper than %d" % DEPTH}
        made: Dict[str, Json] = {"$new": found.symbol, "args": found.arguments}
        if found.is_under_way():
            made["bare"] = True  # it has only the state that its constructor gave it so far
        return self.with_state(encoder, obj, depth, made)

    def unconstructed(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return an object whose class has no constructor of its own: there is nothing to see of its making."""
        symbol = symbol_of(type(obj))
        kind: Any = type(obj)
        if kind.__init__ is not object.__init__ or kind.__new__ is not object.__new__ or not symbol:
            return None
        return self.with_state(encoder, obj, depth, {"$new": symbol, "args": []})

    def foreign(self, obj: Any) -> Json:
        """Return an object of another package by its class and those of its attributes that are data."""
        kind = type(obj)
        state = {name: self.snapshots.state(item) for name, item in vars(obj).items() if name.isidentifier()}
        return {
            "$duck": "%s.%s" % (kind.__module__, kind.__qualname__),
            "attrs": {name: value for name, value in state.items() if is_data(value)},
        }

    @staticmethod
    def with_state(encoder: Encoder, obj: Any, depth: int, made: Dict[str, Json]) -> Json:
        """Add what can be expressed of an object's attributes."""
        state = {name: encoder.encode(item, depth + 1) for name, item in list(getattr(obj, "__dict__", {}).items())}
        state = {name: value for name, value in state.items() if not is_opaque(value)}
        if state:
            made["state"] = state
        return made


def is_foreign(obj: Any) -> bool:
    """Say whether an object has attributes, and a class that a program may have from anywhere."""
    kind = type(obj)
    return hasattr(obj, "__dict__") and kind.__module__ != "builtins" and not isinstance(obj, (type, BaseException))


def is_data(value: Json) -> bool:
    """Say whether a value is plain data through and through."""
    if isinstance(value, list):
        return all(is_data(item) for item in value)
    if isinstance(value, dict):
        return not any(key.startswith("$") for key in value) and all(is_data(item) for item in value.values())
    return True


def is_opaque(value: Json) -> bool:
    """Say whether a value, or one in it, could not be expressed; those are left as the constructor makes them."""
    if isinstance(value, dict):
        return "$opaque" in value or "$cycle" in value or any(is_opaque(item) for item in value.values())
    return isinstance(value, list) and any(is_opaque(item) for item in value)


def opened(encoder: Encoder, obj: Any) -> Json:
    """Return an open file: which, how, and where in it."""
    try:
        return {"$file": encoder.text(obj.name), "mode": obj.mode, "at": obj.tell()}
    except (OSError, ValueError, AttributeError):
        return {"$opaque": "a file that is closed or no file"}


def answer(encoder: Encoder, obj: Any, depth: int) -> Json:
    """Return an HTTP response: what clients read of one."""
    state = vars(obj)
    content = state.get("_content")
    request = getattr(state.get("request"), "url", None)
    return {
        "$answer": {
            "status_code": state.get("status_code"),
            "reason": encoder.encode(state.get("reason"), depth + 1),
            "url": encoder.encode(state.get("url"), depth + 1),
            "request": encoder.encode(request, depth + 1),
            "headers": encoder.encode({str(k): str(v) for k, v in state["headers"].items()}, depth + 1),
            "content": encoder.encode(content if isinstance(content, bytes) else b"", depth + 1),
        }
    }
