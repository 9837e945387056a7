"""Objects of the standard library, by what their constructor takes."""

from __future__ import annotations

import argparse
import builtins
import collections
import datetime as dt
import decimal
import fractions
import functools
import operator
import pathlib
import re
import threading
import types
import uuid
from typing import Any, Callable, Dict, List, Tuple


class BadValue(ValueError):
    """A value that is not of the format; the message says which part."""


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
