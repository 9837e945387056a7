"""Values of a trace: what a Python object is as JSON, and back.

A value is JSON data. Plain data stands for itself; everything else is an object with exactly one key that begins
with ``$`` (and the fields of its kind). Nothing in a value is ever executed: a decoder makes plain data, the standard
library's data types listed in ``STD``, and what its caller's hooks make of ``$ref``, ``$stub`` and the like.
"""

from __future__ import annotations

import argparse
import base64
import builtins
import collections
import contextlib
import datetime as dt
import decimal
import enum
import fractions
import functools
import hashlib
import math
import operator
import pathlib
import re
import sys
import threading
import types
import uuid
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

Json = Any
# A longer text or byte string is stored once, by its sha256.
BLOB_SIZE = 512
# Deeper values are cut: json itself gives up near a thousand, and a snapshot this deep is a graph, not data.
MAX_DEPTH = 60
MAX_ITEMS = 100_000


class BadValue(ValueError):
    """A value that is not of the format; the message says which part."""


def sha256(data: bytes) -> str:
    """Return the digest that names a blob."""
    return hashlib.sha256(data).hexdigest()


class Templates:
    """Texts that differ from machine to machine, such as a folder or a port, by name.

    ``{name}`` in a ``$tmpl`` stands for one; longer texts are replaced first. A text is only replaced where it stands
    alone: ``0.0.1`` is not replaced inside ``127.0.0.1``.
    """

    def __init__(self, texts: Dict[str, str]) -> None:
        """Make them of name: text."""
        self.texts = {name: text for name, text in texts.items() if text}
        self.compile()

    def compile(self) -> None:
        """Prepare for ``hide`` after ``texts`` was changed."""
        self.names: Dict[str, str] = {}
        for name in sorted(self.texts, key=lambda name: (-len(self.texts[name]), name)):
            self.names.setdefault(self.texts[name], name)
        alternatives = "|".join(re.escape(text) for text in sorted(self.names, key=lambda text: (-len(text), text)))
        self.pattern = re.compile(r"(?<![\w.])(?:%s)(?![\w]|\.\d)" % alternatives) if alternatives else None

    def hide(self, text: str) -> Optional[str]:
        """Return ``text`` as a template, or None where nothing in it needs one."""
        if self.pattern is None or len(text) < 2:
            return None
        found = self.pattern.search(text)
        if found is None:
            return None
        escaped: List[str] = []
        position = 0
        while found is not None:
            escaped.append(escape(text[position : found.start()]))
            escaped.append("{%s}" % self.names[found.group()])
            position = found.end()
            found = self.pattern.search(text, position)
        escaped.append(escape(text[position:]))
        return "".join(escaped)

    def plain(self, text: str) -> str:
        """Return ``text`` for people, with names in the place of what differs from machine to machine."""
        return (
            text if self.pattern is None else self.pattern.sub(lambda found: "{%s}" % self.names[found.group()], text)
        )

    def show(self, template: str) -> str:
        """Return the text that ``template`` stands for here.

        Raises:
            BadValue: a name that is not known here.
        """

        def replace(match: Any) -> str:
            name = match.group(1)
            if name is None:
                return str(match.group()[0])
            if name not in self.texts:
                message = "unknown template {%s}" % name
                raise BadValue(message)
            return self.texts[name]

        return re.sub(r"\{\{|\}\}|\{([^{}]*)\}", replace, template)


def escape(text: str) -> str:
    """Return ``text`` with its braces doubled, as a template wants them."""
    return text.replace("{", "{{").replace("}", "}}")


def symbol_of(obj: Any) -> Optional[str]:
    """Return ``module:qualified.name`` of a class or function, or None where it has no such home."""
    module, name = getattr(obj, "__module__", None), getattr(obj, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or "<" in name or not is_dotted(module):
        return None
    return "%s:%s" % (module, name)


def is_dotted(name: str) -> bool:
    """Say whether a name can be a module's; classes may claim to be of any."""
    return all(part.isidentifier() for part in name.split("."))


def find_symbol(symbol: str) -> Any:
    """Return the object at ``module:qualified.name`` among the modules that are imported, or raise LookupError."""
    module, _, name = symbol.partition(":")
    found: Any = sys.modules.get(module)
    if found is None:
        raise LookupError(symbol)
    for index, part in enumerate(filter(None, name.split("."))):
        if index and isinstance(found, types.ModuleType):
            raise LookupError(symbol)  # what a module imports is not its own
        try:
            found = getattr(found, part)
        except Exception:
            raise LookupError(symbol) from None
    return found


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


def new_traceback() -> Any:
    """Return a traceback: of this function."""
    try:
        return next(iter(()))
    except StopIteration as error:
        return error.__traceback__


# Standard-library values, by what their constructor takes. Name: (type, to arguments, from arguments).
Std = Tuple[type, Callable[[Any], Tuple[Any, ...]], Callable[..., Any]]
STD: Dict[str, Std] = {
    "complex": (complex, lambda v: (v.real, v.imag), complex),
    "range": (range, lambda v: (v.start, v.stop, v.step), range),
    "slice": (slice, lambda v: (v.start, v.stop, v.step), slice),
    "date": (dt.date, lambda v: (v.year, v.month, v.day), dt.date),
    "datetime": (
        dt.datetime,
        lambda v: (v.year, v.month, v.day, v.hour, v.minute, v.second, v.microsecond, v.tzinfo, v.fold),
        lambda *a: dt.datetime(*a[:8], fold=a[8]),  # noqa: DTZ001 # the eighth is its zone
    ),
    "time": (
        dt.time,
        lambda v: (v.hour, v.minute, v.second, v.microsecond, v.tzinfo, v.fold),
        lambda *a: dt.time(*a[:5], fold=a[5]),
    ),
    "timedelta": (dt.timedelta, lambda v: (v.days, v.seconds, v.microseconds), dt.timedelta),
    "timezone": (dt.timezone, lambda v: v.__getinitargs__(), dt.timezone),
    "Decimal": (decimal.Decimal, lambda v: (str(v),), decimal.Decimal),
    "Fraction": (fractions.Fraction, lambda v: (v.numerator, v.denominator), fractions.Fraction),
    "Path": (type(pathlib.Path()), lambda v: (str(v),), pathlib.Path),
    "PurePosixPath": (pathlib.PurePosixPath, lambda v: (str(v),), pathlib.PurePosixPath),
    "PureWindowsPath": (pathlib.PureWindowsPath, lambda v: (str(v),), pathlib.PureWindowsPath),
    "Pattern": (type(re.compile("")), lambda v: (v.pattern, v.flags), re.compile),
    "UUID": (uuid.UUID, lambda v: (str(v),), uuid.UUID),
    "deque": (collections.deque, lambda v: (list(v), v.maxlen), collections.deque),
    "OrderedDict": (collections.OrderedDict, lambda v: ([list(i) for i in v.items()],), collections.OrderedDict),
    "Counter": (collections.Counter, lambda v: (dict(v),), collections.Counter),
    "partial": (
        functools.partial,
        lambda v: (v.func, list(v.args), dict(v.keywords)),
        lambda f, a, k: functools.partial(f, *a, **k),
    ),
    "SimpleNamespace": (types.SimpleNamespace, lambda v: (dict(vars(v)),), lambda d: types.SimpleNamespace(**d)),
    "Namespace": (argparse.Namespace, lambda v: (dict(vars(v)),), lambda d: argparse.Namespace(**d)),
    "mappingproxy": (types.MappingProxyType, lambda v: (dict(v),), types.MappingProxyType),
    "traceback": (types.TracebackType, lambda v: (), new_traceback),
    "RLock": (type(threading.RLock()), lambda v: (), threading.RLock),
    "Lock": (type(threading.Lock()), lambda v: (), threading.Lock),
    "bytearray": (bytearray, lambda v: (bytes(v),), bytearray),
    "memoryview": (memoryview, lambda v: (v.tobytes(),), memoryview),
    "method": (types.MethodType, lambda v: (v.__func__, v.__self__), types.MethodType),
    "itemgetter": (operator.itemgetter, lambda v: v.__reduce__()[1], operator.itemgetter),
    "attrgetter": (operator.attrgetter, lambda v: v.__reduce__()[1], operator.attrgetter),
    "methodcaller": (operator.methodcaller, lambda v: v.__reduce__()[1], operator.methodcaller),
}
STD_BY_TYPE = {entry[0]: name for name, entry in STD.items()}
# What a member of an archive says of itself; its module is imported only where it is needed.
TARINFO = ("name", "size", "mtime", "mode", "type", "linkname", "uid", "gid", "uname", "gname", "devmajor", "devminor")
# What there is to a logger and to what it tells its handlers; a logger is found by its name.
LOGGING = {"Logger": ("name", "level", "propagate", "handlers"), "LogRecord": ("name", "levelno", "msg", "args")}
# Objects that are one thing: there is nothing in them to store.
SINGLETONS = {"Ellipsis": Ellipsis, "NotImplemented": NotImplemented, "NoneType": type(None)}
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


def tar_info(facts: Dict[str, Any]) -> Any:
    """Return a member of an archive, as it was."""
    import tarfile

    made = tarfile.TarInfo()
    for name in TARINFO:
        setattr(made, name, facts.get(name))
    return made


def logger(name: str, level: int, propagate: bool, handlers: List[Any]) -> Any:
    """Return the logger of a name, as it was."""
    import logging

    made = logging.getLogger(name)
    made.setLevel(level)
    made.propagate, made.handlers = propagate, handlers
    return made


def log_record(name: str, level: int, message: Any, arguments: Any) -> Any:
    """Return what a logger tells its handlers."""
    import logging

    return logging.LogRecord(name, level, "", 0, message, arguments, None)


def hint(obj: Any) -> Optional[Tuple[str, List[Any]]]:
    """Return what a type hint is made of: (kind, arguments), or None for what is none."""
    import typing

    name = getattr(obj, "_name", None) or getattr(obj, "__name__", None)
    if isinstance(name, str) and getattr(typing, name, None) is obj:
        return "typing", [name]
    if isinstance(obj, typing.TypeVar):
        return "TypeVar", [obj.__name__, list(obj.__constraints__), obj.__bound__]
    if isinstance(obj, typing.ForwardRef):
        return "ForwardRef", [obj.__forward_arg__]
    origin, arguments = typing.get_origin(obj), list(typing.get_args(obj))
    if origin is None or not arguments:
        return None
    name = getattr(obj, "_name", None)
    if type(obj).__module__ == "types" and type(obj).__name__ == "UnionType":
        return "union", arguments
    named = getattr(typing, name, None) if isinstance(name, str) and name != "Optional" else None
    return "alias", [named or origin, arguments]


def made_hint(kind: str, arguments: List[Any]) -> Any:
    """Return a type hint, or raise BadValue where it is none here."""
    try:
        return make_hint(kind, arguments)
    except Exception as error:
        raise BadValue("no type hint: %s: %s" % (type(error).__name__, error)) from None


def make_hint(kind: str, arguments: List[Any]) -> Any:
    """Return the type hint of a kind that is made of some arguments."""
    import typing

    if kind == "alias":
        origin, parts = arguments
        return origin[tuple(parts) if len(parts) != 1 else parts[0]]
    if kind == "union":
        return functools.reduce(operator.or_, arguments)
    if kind == "TypeVar":
        return type_variable(arguments[0], tuple(arguments[1]), arguments[2])
    if kind == "ForwardRef":
        return typing.ForwardRef(arguments[0])
    return getattr(typing, arguments[0])


@functools.lru_cache(maxsize=None)
def type_variable(name: str, constraints: Tuple[Any, ...], bound: Any) -> Any:
    """Return a type variable: equal ones are one, for classes and their bases must name the same."""
    import typing

    return typing.TypeVar(name, *constraints, bound=bound)


HINTS = ("typing", "TypeVar", "ForwardRef", "alias", "union")


def resolves(symbol: str, obj: Any) -> bool:
    """Say whether ``symbol`` leads to ``obj``."""
    try:
        return find_symbol(symbol) is obj
    except LookupError:
        return False


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


MADE: Dict[str, Callable[..., Any]] = {"TarInfo": tar_info, "Logger": logger, "LogRecord": log_record}


@functools.lru_cache(maxsize=None)
def distribution(name: str) -> Any:
    """Return an installed distribution, always the same, or raise BadValue."""
    import importlib.metadata

    try:
        return importlib.metadata.distribution(name)
    except Exception:
        message = "no distribution %r" % name
        raise BadValue(message) from None


def exception_type(name: str) -> Any:
    """Return a built-in exception by its name, or raise BadValue."""
    found = getattr(builtins, name, None)
    if not (isinstance(found, type) and issubclass(found, BaseException)):
        message = "no built-in exception %s" % name
        raise BadValue(message)
    return found
