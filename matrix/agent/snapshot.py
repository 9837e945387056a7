"""Objects of the recorded program as values: references, stubs, ducks, and what results look like."""

from __future__ import annotations

import enum
import inspect
import io
import sys
import types
from typing import Any, Dict, Optional, Tuple

from . import calls, probes
from .contents import held
from .inline import Inline, opened
from .known import Known, Path, is_answer
from .own import Own
from .symbols import find_symbol, is_dotted, resolves, symbol_of
from .values import HELD, Encoder, Json, canonical, plain_of, sha256

# The state of an object that is not ours is stored this deep: enough to compare it, not to rebuild it.
STATE_DEPTH = 4
SUITES = 2
OUT_OF_SIGHT = ", made out of sight"


class Snapshots:
    """Makes values for one recorder."""

    def __init__(self, ledger: Any) -> None:
        """Make one that finds references in ``ledger.known``."""
        self.ledger = ledger
        self.known: Known = ledger.known
        self.stored: Dict[str, bool] = {}
        self.own = Own(self)
        self.known.has_home = self.has_home
        self.inline = Inline(self)

    # Storing

    def store(self, data: bytes) -> str:
        """Store a content once in the trace and return its digest."""
        digest = sha256(data)
        if digest not in self.stored:
            self.stored[digest] = True
            self.ledger.top.append({"def": "blob", "id": digest, **held(data)})
        return digest

    def encode(self, obj: Any, hook: Any, depth: int = 0) -> Json:
        """Return a value; what it stores goes into the trace."""
        blobs: Dict[str, bytes] = {}
        value = Encoder(self.ledger.templates, hook, blobs).encode(obj, depth)
        for data in blobs.values():
            self.store(data)
        return value

    # Arguments: what a replay must be able to make again

    def argument(self, obj: Any) -> Json:
        """Return the value of what the caller gave."""
        if self.inline.on:
            return self.encode(obj, self.make)
        if type(obj) is int:
            return self.reference(Encoder(self.ledger.templates, self.make, {}), obj, 0) or obj
        if type(obj) is str:
            taken = self.known.inside(obj)
            if taken is not None:
                before, _, after = obj.partition(taken[0])
                return {"$join": [self.argument(before), {"$ref": taken[1], "path": taken[2]}, self.argument(after)]}
            self.known.given.add(obj)
            if self.known.get(obj) is None:
                return self.encode(obj, self.make)
            return self.make(Encoder(self.ledger.templates, self.make, {}), obj, 0)
        return self.encode(obj, self.make)

    def make(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return the value of an object that is no plain data, or None to leave it to the encoder."""
        found = self.inline.make(encoder, obj, depth) if self.inline.on else self.reference(encoder, obj, depth)
        if found is not None:
            return found
        if type(obj) in HELD and self.own.find(self.own.objects, obj) is not None:
            return self.own.anonymous(obj)
        if isinstance(obj, io.IOBase) and getattr(obj, "mode", "") in ("r", "rb"):
            return opened(encoder, obj)
        if type(obj) is dict and self.is_namespace(obj):
            return {"$bound": "__dict__", "on": self.own.module(sys.modules[obj["__name__"]], depth)}
        if isinstance(obj, (list, tuple, dict)) and type(obj) in (list, tuple, dict):
            return self.with_texts(encoder, obj, depth)
        if isinstance(obj, (types.MethodType, types.BuiltinMethodType)):
            return self.method(encoder, obj, depth)
        if isinstance(obj, types.FunctionType):
            return self.function(encoder, obj, depth)
        if isinstance(obj, type):
            return self.type_(obj, depth)
        return self.object(encoder, obj, depth)

    def is_namespace(self, obj: Dict[Any, Any]) -> bool:
        """Say whether a mapping is that of the names of one of the caller's modules: what ``globals()`` gives."""
        name = obj.get("__name__")
        module = sys.modules.get(name) if isinstance(name, str) else None
        return module is not None and vars(module) is obj and self.home_of(str(name)) == SUITES

    def object(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return the value of an object that is neither a collection, nor a function or class."""
        if type(obj).__module__ == "unittest.mock" and hasattr(type(obj), "assert_called"):
            return self.own.mock(obj)
        if self.is_suites(type(obj)):
            return self.own.instance(obj, depth)
        if self.is_subjects(type(obj)):
            return self.of_subject(encoder, obj, depth)
        if isinstance(obj, BaseException) and type(obj).__module__ == "builtins":
            return self.own.instance(obj, depth)
        if type(obj) is types.ModuleType and (self.home_of(obj.__name__) == 2 or obj.__spec__ is None):
            return self.own.module(obj, depth)
        if type(obj) is object:  # a marker: the subject's own, or the caller's
            return self.own.look(obj) or self.in_modules(obj) or self.own.anonymous(obj)
        return self.own.member(obj, depth)

    def with_texts(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return a collection whose texts may have come from earlier results, or None where none did."""
        if (
            self.inline.on
            or type(obj) is dict
            or not any(isinstance(item, str) and self.known.get(item) for item in obj)
        ):
            return None
        items = [self.reference(encoder, item, depth) or encoder.encode(item, depth + 1) for item in obj]
        return {"$tuple": items} if type(obj) is tuple else items

    def reference(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return a ``$ref`` to what an earlier call gave; a changed list or mapping is a value of its own."""
        entry = self.known.get(obj)
        if entry is None:
            return self.reached(obj)
        if type(obj) in (list, dict, set):
            seen = entry.seen if entry.seen is not None else None
            if seen is None or canonical(self.state(obj)) != canonical(seen):
                return None
        return {"$ref": entry.call, "path": entry.path} if entry.path else {"$ref": entry.call}

    def reached(self, obj: Any) -> Optional[Json]:
        """Return a ``$ref`` to an attribute of an earlier result, for the subject's own objects and closures."""
        closure = isinstance(obj, types.FunctionType) and "<locals>" in obj.__qualname__ and self.is_subjects(obj)
        if not closure and (not self.is_subjects(type(obj)) or isinstance(obj, (type, enum.Enum))):
            return None
        for entry in [*self.known.roots.values(), *self.known.slotted.values()]:
            root = entry.hold()
            for name, item in list(state_of(root).items()) if root is not None else ():
                if item is obj:
                    return {"$ref": entry.call, "path": [*entry.path, ["a", name]]}
                for inner, part in list(getattr(item, "__dict__", {}).items()) if self.is_subjects(type(item)) else ():
                    if part is obj:
                        return {"$ref": entry.call, "path": [*entry.path, ["a", name], ["a", inner]]}
        return self.in_modules(obj)

    def in_modules(self, obj: Any) -> Optional[Json]:
        """Return the ``$symbol`` of an object that one of the subject's modules holds."""
        for name, module in sorted(sys.modules.items()):
            if name.split(".")[0] in self.ledger.modules and module is not None:
                for attribute, item in list(vars(module).items()):
                    if item is obj:
                        return {"$symbol": "%s:%s" % (name, attribute)}
        return None

    # Whose an object is

    def home(self, kind: Any) -> int:
        """Return whose a class or function is: 0 another's, 1 the subject's, 2 the suite's."""
        name = getattr(kind, "__module__", None)
        # Most that is asked about is built in.
        return self.home_of(name) if isinstance(name, str) and name != "builtins" else 0

    def home_of(self, name: str) -> int:
        """Return whose a module is."""
        module = sys.modules.get(name)
        path = getattr(module, "__file__", None) or ""
        kinds: Dict[str, int] = self.ledger.kinds
        if name == "__main__":
            return 2
        return kinds.get(path, 0)

    def is_subjects(self, kind: Any) -> bool:
        """Say whether a class or function is the subject's."""
        return self.home(kind) == 1

    def is_suites(self, kind: Any) -> bool:
        """Say whether a class or function is the caller's."""
        return self.home(kind) == 2

    def is_own(self, obj: Any) -> bool:
        """Say whether an object is the caller's own: a function or class of its modules, or one that was defined."""
        if isinstance(obj, (type, types.FunctionType)):
            return self.is_suites(obj)
        return self.own.look(obj) is not None

    def has_home(self, obj: Any) -> bool:
        """Say whether something is found where it stands, whatever call gave it: but what the caller may decorate."""
        if isinstance(obj, (types.ModuleType, enum.Enum)):
            return True
        if not isinstance(obj, (type, types.FunctionType, types.BuiltinFunctionType)) or self.is_suites(obj):
            return False
        symbol = symbol_of(obj)
        return bool(symbol) and resolves(str(symbol), obj)

    # Functions, classes, and objects of the subject's

    def function(self, encoder: Encoder, obj: types.FunctionType, depth: int) -> Optional[Json]:
        """Return a symbol of a function, or a stub for one of the caller's."""
        if self.is_suites(obj):
            return self.own.stub(obj)
        symbol = symbol_of(obj)
        if symbol and resolves(symbol, obj):
            return {"$symbol": symbol}
        return self.in_modules(obj) if self.is_subjects(obj) else None

    def type_(self, obj: type, depth: int) -> Optional[Json]:
        """Return a symbol of a class, or a definition of one of the caller's."""
        if self.is_suites(obj):
            return self.own.class_(obj, depth)
        symbol = symbol_of(obj)
        return {"$symbol": symbol} if symbol and resolves(symbol, obj) else self.in_modules(obj)

    def method(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return a method of an object, a built-in one too: where it is a collection's, that keeps who it is."""
        on = obj.__self__
        if on is None or isinstance(on, types.ModuleType):
            return None
        if isinstance(obj, types.MethodType) and isinstance(obj.__func__, types.FunctionType):
            found = inspect.getattr_static(on, obj.__name__, None)
            if getattr(found, "__func__", found) is not obj.__func__ and not self.is_subjects(obj.__func__):
                return None  # a function that was bound to an object of a class that does not have it
        held = self.own.anonymous(on) if type(on) in HELD else None
        return {"$bound": obj.__name__, "on": held or encoder.encode(on, depth + 1)}

    def of_subject(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return an object of the subject's that no recorded call gave: a member of an enumeration, a named tuple."""
        kind = type(obj)
        symbol = symbol_of(kind)
        if isinstance(obj, enum.Enum) and symbol:
            return {"$symbol": "%s.%s" % (symbol, obj.name)}
        if isinstance(obj, tuple) and hasattr(kind, "_fields") and symbol and resolves(symbol, kind):
            return {"$make": symbol, "args": [encoder.encode(item, depth + 1) for item in tuple(obj)]}
        held = self.in_modules(obj)
        if held is not None:
            return held
        if not self.inline.on and self.is_fresh(obj) and symbol and resolves(symbol, kind):
            return {"$ref": self.constructed(obj, symbol)}
        return {"$opaque": "%s%s" % (symbol, OUT_OF_SIGHT)}

    @staticmethod
    def is_fresh(obj: Any) -> bool:
        """Say whether an object is as its class's constructor left it, which ran no code of the subject's."""
        kind = type(obj)
        native = not isinstance(kind.__init__, types.FunctionType) and not isinstance(kind.__new__, types.FunctionType)
        return native and type(kind) is type and not state_of(obj)

    def constructed(self, obj: Any, symbol: str) -> int:
        """Note that the caller constructed an object, which nothing told us of, and return the call's id."""
        self.ledger.calls += 1
        ident: int = self.ledger.calls
        collection = [set(obj)] if isinstance(obj, set) else plain_of(obj)
        given: Any = obj.args if isinstance(obj, BaseException) else collection
        self.ledger.sink_now.append({
            "e": "call", "id": ident, "tier": "boundary", "function": symbol.replace(":", "."),
            "module": symbol.partition(":")[0], "qualname": symbol.partition(":")[2], "kind": "constructor",
            "access": {"class": {"$symbol": symbol}}, "usage": "none",
            "args": [{"name": "", "form": "positional", "value": self.argument(item)} for item in given],
            "outcome": {"return": self.state(obj)},
        })  # fmt: skip
        self.known.add(obj, ident, None, [])
        return ident

    # Outcomes: what a comparison needs

    def state(self, obj: Any) -> Json:
        """Return what an object looks like, for comparison."""
        return self.encode(obj, self.look)

    def look(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return the looks of an object that is no plain data."""
        defined = self.own.look(obj)
        return defined if defined is not None else look(encoder, obj, depth, self.is_subjects)

    @staticmethod
    def state_of(obj: Any) -> Dict[str, Any]:
        """Return the attributes of an object by name."""
        return state_of(obj)

    def outcome(
        self,
        how: str,
        value: Any,
        ident: Optional[int] = None,
        for_replay: bool = False,
        inner: bool = False,
        item: int = 0,
    ) -> Json:
        """Return how a call ended; the object that it gave, or the ``item`` that it yielded, is known by ``ident``."""
        if inner and how not in ("closed", "raise"):
            return {how: self.state(value)}
        if how == "closed":
            return {"closed": True}
        if how == "raise":
            if ident is not None:
                self.known.put(value, ident, [["x", 0]], None)
            made = describe(value, self.state if not for_replay else self.argument)
            if for_replay:
                made["value"] = self.argument(value)
                for name in ("cause", "context"):
                    linked = getattr(value, "__%s__" % name)
                    if linked is not None:
                        made[name] = self.argument(linked)
            return {"raise": made}
        if for_replay:
            return {how: self.argument(value)}
        entry = self.known.get(value)
        # A replay of a test makes no calls of others for the sake of what its own gave.
        mine = entry is not None and entry.call > self.ledger.begun
        if entry is not None and mine and entry.call != ident and type(value) not in (str, list, dict, tuple):
            return {how: {"$ref": entry.call, "path": entry.path} if entry.path else {"$ref": entry.call}}
        made = self.state(value)
        if ident is not None:
            self.known.add(value, ident, made, [["y", item]] if item > 1 else [])
        return {how: made}

    # Calls

    def call(self, *arguments: Any, **keywords: Any) -> Dict[str, Json]:
        """Return the event of a call that begins."""
        return calls.event(self, *arguments, **keywords)

    def bound(self, definition: probes.Definition, values: Tuple[Any, ...]) -> Json:
        """Return what a stub was called with, by parameter."""
        return {name: self.argument(value) for name, value in zip(definition.names, values)}


def look(encoder: Encoder, obj: Any, depth: int, is_subjects: Any) -> Optional[Json]:
    """Return what an object that is no plain data looks like: its class, and its state where that is data."""
    kind = type(obj)
    if isinstance(obj, BaseException):
        return {"$exception": describe(obj, lambda v: encoder.encode(v, depth + 1))}
    if isinstance(obj, types.MethodType):
        return {"$bound": obj.__name__, "on": encoder.encode(obj.__self__, depth + 1)}
    if isinstance(obj, (types.GeneratorType, types.CoroutineType)):
        return {"$obj": kind.__name__}
    if isinstance(obj, (type, types.FunctionType)):
        symbol = "%s:%s" % (obj.__module__, obj.__qualname__)
        return {"$symbol": symbol if is_dotted(str(obj.__module__)) else "_:%s" % obj.__qualname__}
    if is_answer(obj):
        state = vars(obj)
        attributes = {name: encoder.encode(state.get(name), depth + 1) for name in ("status_code", "reason", "url")}
        attributes["headers"] = encoder.encode({str(k).lower(): str(v) for k, v in state["headers"].items()}, depth + 1)
        content = state.get("_content")
        attributes["content"] = encoder.encode(content if isinstance(content, bytes) else None, depth + 1)
        return {"$duck": "%s.%s" % (kind.__module__, kind.__qualname__), "attrs": attributes}
    if isinstance(obj, enum.Enum):
        return {"$obj": symbol_of(kind) or "", "name": obj.name}
    if is_subjects(kind):
        return of_class(encoder, obj, depth)
    return None


def state_of(obj: Any) -> Dict[str, Any]:
    """Return the attributes of an object by name, those in slots too."""
    space = getattr(obj, "__dict__", None)
    state = dict(space) if isinstance(space, (dict, types.MappingProxyType)) else {}  # a class may say anything of it
    for owner in type(obj).__mro__:
        slots = vars(owner).get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            descriptor = vars(owner).get(name)
            if isinstance(descriptor, types.MemberDescriptorType):
                try:
                    state[name] = descriptor.__get__(obj)
                except AttributeError:
                    continue
    return state


def of_class(encoder: Encoder, obj: Any, depth: int) -> Json:
    """Return the class and the state of an object; deep state is left out."""
    kind = type(obj)
    made: Dict[str, Json] = {"$obj": symbol_of(kind) or kind.__qualname__}
    if depth >= STATE_DEPTH:
        return made
    for data in plain_of(obj):
        made["data"] = encoder.encode(data, depth + 1)
    made["state"] = {name: encoder.encode(item, depth + 1) for name, item in sorted(state_of(obj).items())}
    return made


def describe(error: BaseException, encode: Any) -> Dict[str, Json]:
    """Return an exception as data; its text only where its class has not its own idea of one."""
    kind = type(error)
    made: Dict[str, Json] = {
        "type": "%s:%s" % (kind.__module__, kind.__qualname__),
        "mro": ["%s:%s" % (k.__module__, k.__qualname__) for k in kind.__mro__[1:-1] if k is not BaseException],
        "args": encode(list(error.args)),
    }
    if isinstance(kind.__str__, types.WrapperDescriptorType):
        made["str"] = encode(str(error))
    return made


def path_of(root: Any, path: Path) -> Any:
    """Return what a path leads to from ``root``.

    Raises:
        LookupError, AttributeError: it leads nowhere.
    """
    for kind, key in path:
        if kind == "a":
            root = getattr(root, key)
        elif kind == "k":
            root = root[key]
        else:
            raise LookupError(key)
    return root


__all__ = ["Snapshots", "describe", "find_symbol", "look", "path_of"]
