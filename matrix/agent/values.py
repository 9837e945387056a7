"""Values of a trace: what a Python object is as JSON, and back.

A value is JSON data. Plain data stands for itself; everything else is an object with exactly one key that begins
with ``$`` (and the fields of its kind). Nothing in a value is ever executed: a decoder makes plain data, the standard
library's data types listed in ``STD``, and what its caller's hooks make of ``$ref``, ``$stub`` and the like.
"""

from __future__ import annotations

import base64
import builtins
import collections
import contextlib
import enum
import hashlib
import math
import types
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from .hints import HINTS, hint, made_hint
from .standard import LOGGING, MADE, SINGLETONS, STD, STD_BY_TYPE, TARINFO, BadValue, distribution, exception_type
from .symbols import resolves, symbol_of
from .templates import Templates

Json = Any
# A longer text or byte string is stored once, by its sha256.
BLOB_SIZE = 512
# Deeper values are cut: json itself gives up near a thousand, and a snapshot this deep is a graph, not data.
MAX_DEPTH = 60
MAX_ITEMS = 100_000


def sha256(data: bytes) -> str:
    """Return the digest that names a blob."""
    return hashlib.sha256(data).hexdigest()


# How an object that is one of these by inheritance is read as such without asking its own class.
PLAIN: List[Tuple[type, Callable[[Any], Any]]] = [
    (dict, dict.copy),
    (list, lambda v: list.__getitem__(v, slice(None))),
    (str, str.__str__),
    (bytes, lambda v: bytes.__getitem__(v, slice(None))),
    (int, int.__int__),
    (float, float.__float__),
    (tuple, lambda v: tuple.__getitem__(v, slice(None))),
]


def plain_of(obj: Any) -> List[Any]:
    """Return what an object holds as a mapping, a list, a text or a number that it is by inheritance: one or none."""
    return [read(obj) for base, read in PLAIN if isinstance(obj, base)][:1]


# Functions of built-in classes.
DESCRIPTORS = (types.MethodDescriptorType, types.WrapperDescriptorType)
# Values that nothing can stand inside: they do not count for the distance of a ``$cycle``.
LEAVES = ("$tmpl", "$text", "$blob", "$bytes", "$float", "$cycle")

# Collections that keep who they are where a method of theirs is handed over.
HELD = (list, dict, set)

Hook = Callable[["Encoder", Any, int], Optional[Json]]


class Encoder:
    """Makes values of objects; ``hook`` is asked first about whatever is not plain data.

    ``blobs`` collects what was stored by its sha256. Objects of the subject are never asked for their ``repr``,
    ``==`` or ``hash``.
    """

    def __init__(self, templates: Templates, hook: Hook, blobs: Dict[str, bytes]) -> None:
        """Make one; the blobs are added to ``blobs``."""
        self.templates, self.hook, self.blobs = templates, hook, blobs
        self.path: Dict[int, int] = {}

    def encode(self, obj: Any, depth: int = 0) -> Json:
        """Return the value of ``obj``; what has none is ``$opaque`` with the reason."""
        kind = type(obj)
        if obj is None or kind is bool or kind is int:
            return obj
        if kind is str:
            return self.text(obj)
        if kind is float:
            return obj if math.isfinite(obj) else {"$float": repr(obj)}
        if kind is bytes:
            return self.octets(obj)
        if depth > MAX_DEPTH:
            return {"$opaque": "deeper than %d" % MAX_DEPTH}
        if id(obj) in self.path:
            return {"$cycle": len(self.path) - self.path[id(obj)]}
        self.path[id(obj)] = len(self.path)
        try:
            made = self.hook(self, obj, depth)
            return self.container(obj, kind, depth) if made is None else made
        except RecursionError:
            return {"$opaque": "too deep here"}
        finally:
            del self.path[id(obj)]

    def text(self, text: str) -> Json:
        """Return the value of a string: itself, a template or a blob."""
        template = self.templates.hide(text)
        if template is not None:
            return {"$tmpl": template}
        if len(text) > BLOB_SIZE:
            return {"$text": self.blob(text.encode("utf-8", "surrogatepass"))}
        return text

    def octets(self, data: bytes) -> Json:
        """Return the value of a byte string."""
        if len(data) > BLOB_SIZE:
            return {"$blob": self.blob(data)}
        return {"$bytes": base64.b64encode(data).decode("ascii")}

    def blob(self, data: bytes) -> str:
        """Store ``data`` once and return its digest."""
        digest = sha256(data)
        self.blobs.setdefault(digest, data)
        return digest

    def many(self, items: Any, depth: int) -> List[Json]:
        """Return the values of ``items``."""
        return [self.encode(item, depth + 1) for item in items]

    def container(self, obj: Any, kind: type, depth: int) -> Json:
        """Return the value of a collection or of a standard-library object."""
        if kind is list:
            return self.many(obj, depth)
        if kind is tuple:
            return {"$tuple": self.many(obj, depth)}
        if kind is dict:
            if obj is vars(builtins):
                return {"$opaque": "builtins"}
            if all(type(key) is str and key[:1] != "$" and self.templates.hide(key) is None for key in obj):
                return {key: self.encode(item, depth + 1) for key, item in obj.items()}
            return {"$dict": [[self.encode(key, depth + 1), self.encode(obj[key], depth + 1)] for key in list(obj)]}
        if kind is set or kind is frozenset:
            return {"$" + kind.__name__: sorted(self.many(obj, depth), key=canonical)}
        return self.other(obj, kind, depth)

    def other(self, obj: Any, kind: type, depth: int) -> Json:
        """Return the value of an object of the standard library, or ``$opaque``."""
        for name, single in SINGLETONS.items():
            if obj is single:
                return {"$std": name, "args": []}
        name = STD_BY_TYPE.get(kind, "")
        if name:
            return {"$std": name, "args": self.many(STD[name][1](obj), depth)}
        if isinstance(obj, types.ModuleType):
            return {"$symbol": "%s:" % obj.__name__}
        if isinstance(obj, enum.Enum) and symbol_of(kind):
            return {"$symbol": "%s.%s" % (symbol_of(kind), obj.name)}
        if isinstance(obj, (type, types.FunctionType, types.BuiltinFunctionType)):
            symbol = symbol_of(obj)
            if symbol and resolves(symbol, obj):
                return {"$symbol": symbol}
        if isinstance(obj, DESCRIPTORS):
            symbol = "%s:%s" % (obj.__objclass__.__module__, obj.__qualname__)
            if resolves(symbol, obj):
                return {"$symbol": symbol}
        if kind.__module__ in ("typing", "types"):
            made = hint(obj)
            if made is not None:
                return {"$std": made[0], "args": self.many(made[1], depth)}
        if isinstance(obj, BaseException) and kind.__module__ == "builtins":
            return {"$std": "exception", "type": kind.__name__, "args": self.many(obj.args, depth)}
        if kind.__module__ == "tarfile" and kind.__name__ == "TarInfo":
            return {"$std": "TarInfo", "args": [{name: self.encode(getattr(obj, name), depth + 2) for name in TARINFO}]}
        if kind.__module__ == "logging" and kind.__name__ in LOGGING:
            facts = [getattr(obj, name) for name in LOGGING[kind.__name__]]
            return {"$std": kind.__name__, "args": self.many(facts, depth)}
        if kind.__module__ == "collections" and kind is collections.defaultdict:
            return {
                "$std": "defaultdict",
                "args": [self.encode(obj.default_factory, depth + 1), self.encode(dict(obj), depth + 1)],
            }
        if kind.__module__ == "importlib.metadata" and kind.__name__ == "PathDistribution":
            return {"$std": "distribution", "args": [obj.metadata["Name"]]}
        return {"$opaque": "%s.%s" % (kind.__module__, kind.__qualname__)}


def canonical(value: Json) -> str:
    """Return a text that is equal for equal values: for sorting, digests and comparison."""
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":"))


class Decoder:
    """Makes objects of values; ``hook`` makes those that are not data (``$ref``, ``$stub`` …)."""

    def __init__(
        self, templates: Templates, hook: Callable[["Decoder", str, Any], Any], blobs: Dict[str, bytes]
    ) -> None:
        """Make one that finds its blobs in ``blobs``."""
        self.templates, self.hook, self.blobs = templates, hook, blobs
        self.path: List[Any] = []

    def decode(self, value: Json) -> Any:
        """Return the object of ``value``.

        Raises:
            BadValue: the value is not of the format.
        """
        if isinstance(value, list):
            items: List[Any] = []
            with self.inside(items):
                items.extend([self.decode(item) for item in value])
            return items
        if not isinstance(value, dict):
            return value
        kind = next((key for key in value if key.startswith("$")), None)
        if kind is None:
            mapping: Dict[str, Any] = {}
            with self.inside(mapping):
                mapping.update([(key, self.decode(item)) for key, item in value.items()])
            return mapping
        maker = getattr(self, "make_" + kind[1:], None)
        if kind in LEAVES:
            return maker(value) if maker else self.hook(self, kind, value)
        with self.inside(None):
            return maker(value) if maker else self.hook(self, kind, value)

    @contextlib.contextmanager
    def inside(self, container: Any) -> Iterator[None]:
        """Let ``$cycle`` see a container while it is filled."""
        self.path.append(container)
        try:
            yield
        finally:
            self.path.pop()

    def make_tmpl(self, value: Json) -> str:
        """Return the text of a template."""
        return self.templates.show(value["$tmpl"])

    def make_text(self, value: Json) -> str:
        """Return a stored text."""
        return self.stored(value["$text"]).decode("utf-8", "surrogatepass")

    def make_blob(self, value: Json) -> bytes:
        """Return stored bytes."""
        return self.stored(value["$blob"])

    def stored(self, digest: str) -> bytes:
        """Return a blob, or raise BadValue."""
        try:
            return self.blobs[digest]
        except KeyError:
            message = "no blob %s" % digest
            raise BadValue(message) from None

    def make_bytes(self, value: Json) -> bytes:
        """Return bytes."""
        return base64.b64decode(value["$bytes"])

    def make_float(self, value: Json) -> float:
        """Return a number that JSON has no form for."""
        return float(value["$float"])

    def make_tuple(self, value: Json) -> Any:
        """Return a tuple."""
        return tuple([self.decode(item) for item in value["$tuple"]])

    def make_set(self, value: Json) -> Any:
        """Return a set."""
        return {self.decode(item) for item in value["$set"]}

    def make_frozenset(self, value: Json) -> Any:
        """Return a frozen set."""
        return frozenset(self.decode(item) for item in value["$frozenset"])

    def make_dict(self, value: Json) -> Any:
        """Return a mapping whose keys are not all strings."""
        made: Dict[Any, Any] = {}
        self.path[-1] = made
        made.update([(self.decode(key), self.decode(item)) for key, item in value["$dict"]])
        return made

    def make_cycle(self, value: Json) -> Any:
        """Return a container that the value stands in."""
        return self.path[-value["$cycle"]]

    def make_std(self, value: Json) -> Any:
        """Return an object of the standard library."""
        name = value["$std"]
        if name in SINGLETONS:
            return SINGLETONS[name]
        arguments = [self.decode(item) for item in value["args"]]
        if name == "exception":
            return exception_type(value["type"])(*arguments)
        if name in MADE:
            return MADE[name](*arguments)
        if name == "defaultdict":
            return collections.defaultdict(*arguments)
        if name in HINTS:
            return made_hint(name, arguments)
        if name == "distribution":
            return distribution(*arguments)
        if name not in STD:
            message = "unknown standard type %s" % name
            raise BadValue(message)
        return STD[name][2](*arguments)
