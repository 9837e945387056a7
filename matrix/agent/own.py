"""The caller's own functions, classes and objects as definitions: what a replay synthesizes again from data."""

from __future__ import annotations

import enum
import functools
import re
import sys
import types
import weakref
from typing import Any, Dict, Iterator, List, Optional, Tuple

from . import shapes
from .values import HELD, Json, canonical

# What Python itself puts into the namespace of a class.
SKIPPED = {
    "__dict__", "__weakref__", "__module__", "__qualname__", "__firstlineno__", "__static_attributes__",
    "__abstractmethods__", "_abc_impl", "__classcell__", "__annotations_cache__", "__annotate_func__",
}  # fmt: skip
# What a class may be an object of besides, by what its constructor takes.
BASES = (BaseException, dict, list, set, frozenset, str, bytes, int, float, tuple)
# What Python sets in every module.
OF_MODULES = {"__name__", "__doc__", "__package__", "__loader__", "__spec__", "__file__", "__cached__", "__builtins__"}

Numbered = Dict[int, Tuple[Any, int]]


class Own:
    """Numbers what is the caller's, each thing once."""

    def __init__(self, snapshots: Any) -> None:
        """Begin with none."""
        self.snapshots, self.numbers = snapshots, 0
        self.functions: Numbered = {}
        self.classes: Numbered = {}
        self.objects: Numbered = {}
        self.mocks: Dict[int, Tuple[Any, int, int]] = {}
        self.codes: Dict[types.CodeType, int] = {}
        self.held: Dict[int, Json] = {}  # collections by number: what they held when this was last looked at
        self.states: Dict[int, Dict[str, Any]] = {}  # other objects: their attributes

    def find(self, numbered: Numbered, obj: Any) -> Optional[int]:
        """Return the number of an object, if it has one."""
        known = numbered.get(id(obj))
        return known[1] if known is not None and known[0]() is obj else None

    def add(self, numbered: Numbered, obj: Any) -> int:
        """Give an object the next number."""
        self.numbers += 1
        numbered[id(obj)] = (holding(obj), self.numbers)
        return self.numbers

    def define(self, what: str, number: int, **facts: Json) -> None:
        """Write a definition."""
        self.snapshots.ledger.top.append({"def": what, "id": number, **facts})

    def inside(self, obj: Any, depth: int = 0) -> Json:
        """Return a value in a definition: that stands by itself, so that no cycle may lead out of it."""
        made: Json = self.snapshots.encode(obj, self.snapshots.make, depth + 1)
        return made

    def all(self, items: Dict[str, Any], depth: int = 0) -> Dict[str, Json]:
        """Return values by name."""
        return {name: self.inside(item, depth) for name, item in list(items.items())}

    def look(self, obj: Any) -> Optional[Json]:
        """Return what stands for an object that was defined, None for any other."""
        if type(obj) in HELD:
            return None
        for kind, numbered in (("$inst", self.objects), ("$stub", self.functions), ("$class", self.classes)):
            number = self.find(numbered, obj)
            if number is not None:
                return {kind: number}
        if type(obj).__module__ == "unittest.mock" and id(obj) in self.mocks:
            return {"$mock": self.mocks[id(obj)][1]}
        return None

    # Functions

    def stub(self, obj: types.FunctionType) -> Json:
        """Return the stub of a function, defined once."""
        number = self.find(self.functions, obj)
        if number is None:
            number = self.add(self.functions, obj)
            self.codes[obj.__code__] = number
            self.define("stub", number, **shapes.shape(obj, self.inside), **self.named(obj))
        return {"$stub": number}

    def named(self, obj: types.FunctionType) -> Dict[str, Json]:
        """Return what else there is to see of a function: where it is from, its text, annotations and attributes."""
        made: Dict[str, Json] = {"module": obj.__module__, "qualname": obj.__qualname__}
        annotations, state = self.all(obj.__annotations__), self.all(obj.__dict__)
        if isinstance(obj.__doc__, str):
            made["doc"] = self.inside(obj.__doc__)
        for key, values in (("annotations", annotations), ("state", state)):
            kept = {name: value for name, value in values.items() if not is_opaque(value)}
            if kept:
                made[key] = kept
        return made

    def stub_of(self, code: types.CodeType) -> int:
        """Return the number of the stub that runs ``code``; 0 for a function that no value holds."""
        return self.codes.get(code, 0)

    # Classes

    def class_(self, obj: type, depth: int) -> Json:
        """Return a class, defined once."""
        number = self.find(self.classes, obj)
        if number is None:
            number = self.add(self.classes, obj)
            made: Dict[str, Json] = {"name": obj.__name__, "module": obj.__module__, "qualname": obj.__qualname__}
            if type(obj) is not type:
                made["metaclass"] = self.inside(type(obj), depth)
            made["bases"] = [self.inside(base, depth) for base in obj.__bases__]
            made["body"] = self.body(obj, depth)
            mentioned = self.all(mentioned_by(obj), depth)
            names = {name: value for name, value in mentioned.items() if not is_opaque(value)}
            self.define("class", number, **made, **({"names": names} if names else {}))
        return {"$class": number}

    def body(self, obj: type, depth: int) -> Dict[str, Json]:
        """Return what the body of a class made; what Python adds to it is made again."""
        if isinstance(obj, enum.EnumMeta):
            kind: Any = obj
            members = {name: member.value for name, member in kind.__members__.items()}
            own = {n: f for n, f in vars(obj).items() if isinstance(f, types.FunctionType)}
            return self.all({**members, **{n: f for n, f in own.items() if self.snapshots.is_suites(f)}}, depth)
        made: Dict[str, Json] = {}
        item: Any
        for name, item in list(vars(obj).items()):
            generated = isinstance(item, (types.MemberDescriptorType, types.GetSetDescriptorType))
            if name in SKIPPED or generated or (name == "__doc__" and item is None):
                continue
            value = self.inside(item, depth)
            if name != "__parameters__" or not is_opaque(value):  # it is made of the bases again
                made[name] = value
        return made

    def member(self, item: Any, depth: int) -> Optional[Json]:
        """Return a descriptor of a class body, None for what is none of Python's own."""
        if type(item) in (staticmethod, classmethod):
            return {"$member": type(item).__name__, "of": self.inside(item.__func__, depth)}
        if type(item) is property:
            made: Dict[str, Json] = {"$member": "property", "of": self.inside(item.fget, depth)}
            made.update((part, self.inside(getattr(item, part), depth)) for part in ("fset", "fdel")
                        if getattr(item, part) is not None)  # fmt: skip
            return made
        if type(item) is functools.cached_property:
            return {"$member": "cached_property", "of": self.inside(item.func, depth)}
        return None

    # Objects

    def instance(self, obj: Any, depth: int) -> Json:
        """Return an object of a class of the caller's, with its state, defined once."""
        if isinstance(obj, enum.Enum) and obj._name_ is not None:
            return {"$bound": obj._name_, "on": self.inside(type(obj), depth)}
        number = self.find(self.objects, obj)
        if number is None:
            number = self.add(self.objects, obj)
            state = self.all(self.snapshots.state_of(obj), depth)
            for name in ("__cause__", "__context__") if isinstance(obj, BaseException) else ():
                if getattr(obj, name) is not None:
                    state[name] = self.inside(getattr(obj, name), depth)
            made: Dict[str, Json] = {"class": self.inside(type(obj), depth), "state": state}
            base: Any
            for base in BASES:
                if isinstance(obj, base):
                    made["data"] = self.inside(obj.args if base is BaseException else base(obj), depth)
                    break
            self.define("inst", number, **made)
            if type(getattr(obj, "__dict__", None)) is dict:
                self.states[number] = dict(vars(obj))
        return {"$inst": number}

    def module(self, obj: types.ModuleType, depth: int) -> Json:
        """Return a module that the caller made, or is."""
        number = self.find(self.objects, obj)
        if number is None:
            number = self.add(self.objects, obj)
            state = self.all({name: item for name, item in vars(obj).items() if name not in OF_MODULES
                              and not isinstance(item, types.ModuleType)}, depth)  # fmt: skip
            kept = {name: value for name, value in state.items() if not is_opaque(value) and name.isidentifier()}
            self.define("inst", number, **{"class": {"$symbol": "types:ModuleType"}, "state": kept,
                                           "data": obj.__name__})  # fmt: skip
        return {"$inst": number}

    def anonymous(self, obj: Any) -> Optional[Json]:
        """Return an object that is nothing but itself: ``object()``, or a collection whose method is handed over."""
        number = self.find(self.objects, obj)
        if number is None:
            kind = type(obj)
            if kind is not object and kind not in HELD:
                return None
            number = self.add(self.objects, obj)
            made: Dict[str, Json] = {"class": {"$symbol": "builtins:%s" % kind.__name__}, "state": {}}
            if kind in HELD:
                made["data"] = self.held[number] = self.inside(kind(obj))
            self.define("inst", number, **made)
        return {"$inst": number}

    def changes(self) -> Iterator[Json]:
        """Yield an event for each such collection or object that is not as it was when this was last asked."""
        for hold, number in list(self.objects.values()):
            obj = hold()
            if number not in self.states or obj is None:
                continue
            old, now = self.states[number], vars(obj)
            changed = {name: item for name, item in now.items() if old.get(name, self) is not item}
            if changed or len(old) != len(now):
                gone = sorted(old.keys() - now.keys())
                self.states[number] = dict(now)
                yield {"e": "hold", "inst": number, "state": self.all(changed), **({"gone": gone} if gone else {})}
        for number, (hold, _) in [(n, (h, n)) for h, n in self.objects.values() if n in self.held]:
            obj, old = hold(), self.held[number]
            new = self.inside(type(obj)(obj))
            if canonical(new) == canonical(old):
                continue
            self.held[number] = new
            if type(obj) is list and canonical(new[: len(old)]) == canonical(old):
                yield {"e": "hold", "inst": number, "added": new[len(old) :]}
            else:
                yield {"e": "hold", "inst": number, "data": new}

    # Mocks

    def mock(self, obj: Any) -> Json:
        """Return one of ``unittest.mock``'s objects: it is made again by the standard library itself."""
        known = self.mocks.get(id(obj))
        if known is None:
            self.numbers += 1
            known = self.mocks[id(obj)] = (obj, self.numbers, len(obj.mock_calls))
            state = {}
            for name in ("return_value", "side_effect"):
                value = obj.__dict__.get("_mock_" + name, None)
                if value is not None and type(value).__module__ != "unittest.mock":
                    state[name] = self.snapshots.argument(value)
            children = {name: self.mock(child) for name, child in obj._mock_children.items()
                        if name[:1] != "_" and hasattr(child, "mock_calls")}  # fmt: skip
            self.define("mock", known[1], **{"class": type(obj).__name__, "state": state},
                        **({"children": children} if children else {}))  # fmt: skip
        return {"$mock": known[1]}

    def mock_calls(self) -> List[Json]:
        """Return the calls of mocks since this was last asked."""
        made: List[Json] = []
        state = self.snapshots.state
        for key, (obj, number, count) in list(self.mocks.items()):
            new = obj.mock_calls[count:]
            if id(getattr(obj, "_mock_new_parent", None)) in self.mocks:
                continue  # that one was told of it, and tells it on
            if new:
                self.mocks[key] = (obj, number, count + len(new))
                made += [
                    {"mock": number, "name": c[0], "args": state(list(c[1])), "kwargs": state(dict(c[2]))} for c in new
                ]
        return made


def mentioned_by(kind: type) -> Dict[str, Any]:
    """Return what the annotations of a class that are texts mention of its module, by name."""
    space = vars(sys.modules.get(kind.__module__, types))
    texts = [text for text in vars(kind).get("__annotations__", {}).values() if isinstance(text, str)]
    names = {name for text in texts for name in re.findall(r"[^\W\d]\w*", text)}
    return {name: space[name] for name in sorted(names) if name in space}


def holding(obj: Any) -> Any:
    """Return a function that gives an object for as long as it lives; longer only where nothing else is possible."""
    try:
        return weakref.ref(obj)
    except TypeError:
        return lambda: obj


def is_opaque(value: Json) -> bool:
    """Say whether a value, or one in it, could not be expressed."""
    if isinstance(value, dict):
        return "$opaque" in value or any(is_opaque(item) for item in value.values())
    return isinstance(value, list) and any(is_opaque(item) for item in value)
