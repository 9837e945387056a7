"""One call as an event: which function, how the caller reached it, and each argument with its form."""

from __future__ import annotations

import ast
import functools
import inspect
import sys
import types
from typing import Any, Dict, List, Optional, Tuple

from . import callsite, expectations, probes, reads
from .forms import Forms, resolve
from .known import EMPTY, content
from .values import Json, canonical

MISSING = object()


def event(
    snapshots: Any,
    frame: types.FrameType,
    definition: probes.Definition,
    values: Tuple[Any, ...],
    site: callsite.Site,
    outer: Optional[types.FrameType],
    direct: bool,
) -> Dict[str, Json]:
    """Return the event of a call that begins in ``frame``, made at ``site`` in the frame ``outer``."""
    found = Callee(snapshots, frame, definition, values, site, outer)
    made: Dict[str, Json] = {
        "e": "call",
        "tier": "boundary",
        "function": found.function,
        "module": definition.module,
        "qualname": definition.qualname,
        "kind": found.kind,
    }
    made["access"] = found.access()
    made["args"] = found.arguments(direct)
    if definition.kind == "generator" and is_context(frame):
        made["via"] = "context"
    if outer is not None:
        expected = expectations.expectation(site, outer)
        if expected:
            made["expect"] = expected
        if direct and outer.f_code.co_filename in snapshots.ledger.kinds:
            made["caller"] = caller(snapshots, outer)
    made["usage"] = site.usage
    return made


def caller(snapshots: Any, frame: types.FrameType) -> Dict[str, Json]:
    """Return what a package can see of its caller: it names modules, and places in warnings."""
    name = frame.f_globals.get("__name__")
    file = snapshots.argument(frame.f_code.co_filename)
    return {"module": name if isinstance(name, str) else "", "file": file, "line": frame.f_lineno}


def is_context(frame: types.FrameType) -> bool:
    """Say whether a generator's body was begun by ``contextlib``: by a ``with`` statement."""
    back = frame.f_back
    return (
        back is not None
        and back.f_code.co_name in ("__enter__", "__aenter__")
        and back.f_globals.get("__name__") == "contextlib"
    )


class Callee:
    """What was called, as far as the caller's spelling and the arguments tell."""

    owner: Any

    def __init__(
        self,
        snapshots: Any,
        frame: types.FrameType,
        definition: probes.Definition,
        values: Tuple[Any, ...],
        site: callsite.Site,
        outer: Any,
    ) -> None:
        """Find out what kind of a call it is, and on what."""
        self.frame, self.code = frame, frame.f_code
        self.snapshots, self.definition, self.site, self.outer = snapshots, definition, site, outer
        self.values = dict(zip(definition.names, values))
        self.receiver: Any = MISSING
        self.name = definition.qualname.rpartition(".")[2]
        self.kind = {"coroutine": "coroutine", "generator": "generator", "async generator": "asyncgen"}.get(
            definition.kind, "function"
        )
        self.target = resolve(site.chain, outer) if site.chain else None
        self.matched = self.target is not None and self.leads(self.target)
        self.dropped = 0
        self.find()
        self.function = self.row()

    def leads(self, function: Any) -> bool:
        """Say whether calling a function runs what runs here: functions of one text may enclose other things."""
        inner = running(function, self.code)
        if inner is None or not self.code.co_freevars:
            return inner is not None
        here, cells = self.frame.f_locals, zip(self.code.co_freevars, getattr(inner, "__closure__", None) or ())
        return all(content(cell) is here.get(name, EMPTY) for name, cell in cells)

    def first(self) -> Any:
        """Return the first argument, be it named or in ``*args``."""
        if self.definition.positional:
            return self.values[self.definition.positional[0]]
        rest = self.values.get(self.definition.vararg or "", ())
        return rest[0] if rest else MISSING

    def find(self) -> None:
        """Tell constructors, methods, class methods, properties and plain functions apart."""
        if self.is_static():
            self.kind = "staticmethod" if self.kind == "function" else self.kind
            return
        first = self.first()
        if first is MISSING:
            return
        if self.name in ("__init__", "__new__") and (self.in_class() or self.constructs(first)):
            self.receiver, self.dropped = first, 1
            called = isinstance(self.target, type) or self.site.name not in ("__init__", "__new__")
            self.kind = "constructor" if called else "method"
            return
        for name in dict.fromkeys((self.site.name, *self.special(first), self.name, self.mangled())):
            if name and self.found_on(first, name):
                return
        if any(self.found_on(first, name) for name in self.aliases(type(first))):
            return
        if isinstance(first, type) and self.in_class() and self.definition.positional[:1] == ["cls"]:
            self.receiver, self.dropped, self.kind = first, 1, "classmethod"

    def constructs(self, first: Any) -> bool:
        """Say whether the class of the first argument constructs with a function that stands in no class body."""
        kind = first if self.name == "__new__" and isinstance(first, type) else type(first)
        found = inspect.getattr_static(kind, self.name, None)
        return self.leads(getattr(found, "__func__", found))

    def special(self, first: Any) -> List[str]:
        """Return the special methods that this function is as well, where Python itself looked one up: ``int(x)``."""
        built_in = isinstance(self.target, (type, types.BuiltinFunctionType))
        if isinstance(self.site.node, ast.Call) and not (built_in and self.target.__module__ == "builtins"):
            return []
        return [name for name in self.aliases(type(first)) if name[:2] == name[-2:] == "__"]

    def aliases(self, kind: type) -> List[str]:
        """Return the attributes of a class that are this function by another name."""
        return [
            name
            for base in kind.__mro__
            for name, item in list(vars(base).items())
            if getattr(getattr(item, "__func__", item), "__code__", None) is self.code
        ]

    def mangled(self) -> str:
        """Return the function's name as an attribute of its class: private ones carry the class's name."""
        private = self.name.startswith("__") and not self.name.endswith("__")
        return (
            "_%s%s" % (self.definition.qualname.split(".")[-2].lstrip("_"), self.name)
            if private and self.in_class()
            else self.name
        )

    def is_static(self) -> bool:
        """Say whether the function is a static method where it is defined."""
        found: Any = sys.modules.get(self.definition.module)
        for part in self.definition.qualname.split("."):
            found = inspect.getattr_static(found, part, None)
        return isinstance(found, staticmethod) and self.name != "__new__"

    def in_class(self) -> bool:
        """Say whether the function stands in a class body."""
        parent = self.definition.qualname.rpartition(".")[0]
        return bool(parent) and not parent.endswith("<locals>")

    def found_on(self, first: Any, name: str) -> bool:
        """Say whether the function is the attribute ``name`` of its first argument."""
        for owner, kind in ((type(first), "method"), (first, "classmethod")):
            if not isinstance(owner, type):
                continue
            found = self.held(owner, name)
            if isinstance(found, property):
                if any(self.leads(getattr(found, part)) for part in ("fget", "fset", "fdel") if getattr(found, part)):
                    self.receiver, self.name, self.dropped, self.kind = first, name, 1, "property"
                    self.part = next(p for p in ("fget", "fset", "fdel") if self.leads(getattr(found, p)))
                    self.owner = found
                    return True
                continue
            if isinstance(found, functools.cached_property) and self.leads(found.func):
                self.receiver, self.name, self.dropped, self.kind = first, name, 1, "property"
                self.part, self.owner = "fget", found.func
                return True
            is_class = isinstance(found, classmethod)
            function = found.__func__ if isinstance(found, classmethod) else found
            if isinstance(found, staticmethod) or function is None or is_class != (kind == "classmethod"):
                continue
            if self.leads(function):
                self.receiver, self.name, self.dropped, self.owner = first, name, 1, function
                self.kind = kind if self.kind == "function" else self.kind
                return True
        return False

    def held(self, owner: type, name: str) -> Any:
        """Return what a class holds by ``name``.

        Where that is another function, it is what the class defines that this one stands in.
        """
        found = inspect.getattr_static(owner, name, None)
        defined = [vars(base)[name] for base in owner.__mro__ if name in vars(base)]
        if self.leads(getattr(found, "__func__", found)):
            return found
        return next((item for item in defined if self.leads(getattr(item, "__func__", item))), found)

    def row(self) -> str:
        """Return the definition path; a wrapper counts as what it wraps."""
        for candidate in (getattr(self, "owner", None), self.target if self.matched else None):
            inner: Any = getattr(candidate, "fget", None) or candidate
            while getattr(inner, "__wrapped__", None) is not None:
                inner = inner.__wrapped__
            inner = getattr(inner, "__func__", inner)
            if isinstance(inner, types.FunctionType) and "<locals>" in self.definition.qualname:
                return "%s.%s" % (inner.__module__, inner.__qualname__)
        return self.definition.function

    def access(self) -> Json:
        """Return how a replay reaches what was called."""
        encode = self.snapshots.argument
        if self.kind == "constructor":
            return self.constructor()
        if self.receiver is not MISSING:
            made: Dict[str, Json] = {"receiver": encode(self.receiver), "name": unmangled(self.name)}
            if self.kind == "property" and self.part != "fget":
                made["part"] = self.part
            if self.name == "__init__" or not self.on_receiver():
                made["class"] = self.owned()
            return made
        path = self.spelled() or ("" if "<locals>" in self.home() else self.home())
        return {"path": path} if path else self.closure()

    def on_receiver(self) -> bool:
        """Say whether looking the name up on the receiver leads to this function (``super().f()`` does not)."""
        if isinstance(self.receiver, type) or self.kind == "property":
            return True
        found = inspect.getattr_static(type(self.receiver), self.name, None)
        return self.leads(getattr(found, "__func__", found))

    def constructor(self) -> Json:
        """Return how a class was reached: as spelled, or by its own home."""
        kind = self.made()
        spelled = self.spelled() if self.target is kind else None
        if spelled:
            return {"path": spelled}
        return {"class": self.snapshots.argument(kind)}

    def made(self) -> Any:
        """Return the class that a constructor makes an object of."""
        return self.receiver if self.name == "__new__" else type(self.receiver)

    def home(self) -> str:
        """Return ``module:qualname`` of the definition."""
        return "%s:%s" % (self.definition.module, self.definition.qualname)

    def closure(self) -> Json:
        """Return how a function made by another call is reached: as its result."""
        made = self.target if self.matched else self.snapshots.known.function(self.frame) or self.kept()
        if made is not None:
            return {"object": self.snapshots.argument(made)}
        return {"opaque": "a function inside of %s" % self.definition.function.partition(".<locals>")[0]}

    def kept(self) -> Any:
        """Return the function, where an object that an earlier call gave or a module of the subject's keeps it."""
        known = self.snapshots.known
        roots = [entry.hold() for entry in [*known.roots.values(), *known.slotted.values()]]
        spaces = [self.snapshots.state_of(root) for root in roots if root is not None]
        for name, module in sorted(sys.modules.items()):
            if name.split(".")[0] in self.snapshots.ledger.modules and module is not None:
                spaces.append(vars(module))
        for space in spaces:
            for item in list(space.values()):
                if type(item) is types.FunctionType and item.__code__ is self.code and self.leads(item):
                    return item
        return None

    def spelled(self) -> Optional[str]:
        """Return ``module:name`` as the caller wrote it, where that leads to what was called."""
        kind = self.made() if self.kind == "constructor" else None
        if (
            not self.site.chain
            or self.outer is None
            or not (self.matched or (kind is not None and self.target is kind))
        ):
            return None
        found = reads.spelling(self.site.chain, self.outer)
        # A helper of the suite's may hand on what is the subject's: only the subject is there in a replay.
        return found if found and found.partition(":")[0].split(".")[0] in self.snapshots.ledger.modules else None

    def owned(self) -> Json:
        """Return the class that holds a method: as the caller wrote it, where it is defined, or as an object."""
        for path in (self.spelled(), self.home()):
            owner, _, name = (path or "").rpartition(".")
            if name == self.name and ":" in owner and "<" not in owner:
                return owner
        for kind in type(self.receiver).__mro__:
            held = vars(kind).get(self.name)
            if self.leads(getattr(held, "__func__", held)):
                return self.snapshots.argument(kind)
        return None

    def arguments(self, direct: bool) -> List[Json]:
        """Return the arguments with their forms; the receiver is not one of them."""
        definition = self.definition
        names = definition.positional[self.dropped :] if definition.positional else []
        rest = list(self.values.get(definition.vararg or "", ()))
        if not definition.positional:
            rest = rest[self.dropped :]
        keywords = dict(self.values.get(definition.kwarg or "", {}))
        forms = Forms()
        if direct and self.is_spelled():
            forms = Forms(self.site, self.outer, self.given_receiver())
        made: List[Json] = []
        defaults = self.defaults()
        for index, name in enumerate(names):
            form = forms.of(name, index)
            if form == "unknown" and defaults.get(name, MISSING) is self.values[name]:
                form = "defaulted"
            made.append(
                {"name": name, "form": form, "value": self.value(name) if form != "defaulted" else self.default(name)}
            )
        made += [
            {"name": definition.vararg, "form": "positional", "value": self.snapshots.argument(item)} for item in rest
        ]
        for name in definition.kwonly:
            form = forms.of(name, None)
            if form == "unknown":
                form = "defaulted" if defaults.get(name, MISSING) is self.values[name] else "keyword"
            value = self.default(name) if form == "defaulted" else self.value(name)
            made.append({"name": name, "form": form, "value": value})
        made += [
            {"name": name, "form": "keyword", "value": self.snapshots.argument(item)} for name, item in keywords.items()
        ]
        return made

    def is_spelled(self) -> bool:
        """Say whether the caller's call is one of this function, not of a built-in one that calls it in turn."""
        node = self.site.node
        if not isinstance(node, ast.Call):
            return False
        if self.target is None or self.matched or self.name == "__call__":
            return self.target is not None or self.definition.kind in ("function", "lambda")
        if isinstance(self.target, type):
            return self.kind == "constructor"
        return isinstance(self.target, functools.partial)

    def given_receiver(self) -> int:
        """Return 1 where the receiver was the first argument, as in ``Class.method(object)``, else 0."""
        chain = self.site.chain
        holder = resolve(chain[:-1], self.outer) if chain and len(chain) > 1 else None
        return int(self.kind == "method" and isinstance(holder, type))

    def default(self, name: str) -> Json:
        """Return the value of an argument that was left out: a marker object is as good as none."""
        value = self.value(name)
        return None if "$opaque" in canonical(value) else value

    def defaults(self) -> Dict[str, Any]:
        """Return the default of each parameter that has one, where the function itself is known."""
        function: Any = getattr(self, "owner", None) or (self.target if self.matched else None)
        function = running(getattr(function, "fget", None) or function, self.code)
        if function is None:
            return {}
        positional = self.definition.positional
        values = function.__defaults__ or ()
        return {**dict(zip(positional[len(positional) - len(values) :], values)), **(function.__kwdefaults__ or {})}

    def value(self, name: str) -> Json:
        """Return the value of a named argument."""
        return self.snapshots.argument(self.values[name])


def unmangled(name: str) -> str:
    """Return a name as an attribute has it."""
    return name


def running(function: Any, code: types.CodeType) -> Any:
    """Return what runs ``code`` when a function is called: itself, or what it wraps; None where that is another."""
    seen = 0
    while function is not None and seen < 20:
        function = getattr(function, "__func__", function)
        if isinstance(function, functools.partial):
            function = function.func
            continue
        if getattr(function, "__code__", None) is code:
            return function
        function = getattr(function, "__wrapped__", None)
        seen += 1
    return None
