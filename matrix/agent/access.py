"""Finds what a recorded call calls, as its caller spelled it, and with what."""

from __future__ import annotations

import functools
import inspect
from typing import Any, Dict, List, Tuple

from .finding import Missing, Unreplayable, find, import_module
from .results import MISSING


def reach(event: Dict[str, Any], decode: Any, modules: Tuple[str, ...]) -> Any:
    """Return what the caller called."""
    access = event["access"]
    if "opaque" in access:
        raise Unreplayable(access["opaque"])
    if "path" in access:
        module, _, name = access["path"].partition(":")
        if name == "__getattr__":  # what a module is asked for that it does not have
            return functools.partial(getattr, import_module(module, modules))
        return find(access["path"], modules)
    if "object" in access:
        return decode(access["object"])
    if "receiver" not in access:
        return decode(access["class"])
    receiver, name = decode(access["receiver"]), access["name"]
    if access.get("class"):
        given = access["class"]
        owner = find(given, modules) if isinstance(given, str) else decode(given)
        return getattr(owner, name).__get__(receiver, owner)
    owner = receiver if isinstance(receiver, type) else type(receiver)
    if event["kind"] == "property":
        return property_of(receiver, owner, name, access.get("part", "fget"))
    if name.startswith("__") and name.endswith("__"):
        found = getattr(owner, name, None)
        if found is None:
            raise Missing("%s has no %s" % (owner.__name__, name))
        binds = not isinstance(receiver, type) and hasattr(found, "__get__")
        return found.__get__(receiver, owner) if binds else found
    if inspect.getattr_static(receiver, name, MISSING) is MISSING and not hasattr(receiver, name):
        raise Missing("%s has no %s" % (owner.__name__, name))
    return getattr(receiver, name)


def expect(access: Dict[str, Any], modules: Tuple[str, ...]) -> None:
    """Look for a function, without making what it is called on.

    Raises:
        Missing, Broken: it is not there, whatever the world is like around the call.
    """
    if "path" in access and not access["path"].endswith(":__getattr__"):
        find(access["path"], modules)
    receiver = access.get("receiver")
    if isinstance(receiver, dict) and "$new" in receiver:
        owner, name = find(receiver["$new"], modules), access["name"]
        if "class" not in access and isinstance(owner, type) and not may_have(owner, name):
            raise Missing("%s has no %s" % (owner.__name__, name))


def may_have(owner: type, name: str) -> bool:
    """Say whether objects of a class may have an attribute: the class's, made when it is asked for, or set at first."""
    if inspect.getattr_static(owner, name, MISSING) is not MISSING or hasattr(owner, "__getattr__"):
        return True
    begins = (getattr(vars(kind).get("__init__"), "__code__", None) for kind in owner.__mro__)
    return any(name in code.co_names for code in begins if code)


def property_of(receiver: Any, owner: Any, name: str, part: str) -> Any:
    """Return a function that reads, sets or deletes an attribute."""
    if part == "fget":
        if inspect.getattr_static(receiver, name, MISSING) is MISSING and not hasattr(owner, "__getattr__"):
            raise Missing("%s has no %s" % (owner.__name__, name))
        return lambda *_, **__: getattr(receiver, name)
    if part == "fset":
        return lambda value: setattr(receiver, name, value)
    return lambda: delattr(receiver, name)


def arguments(event: Dict[str, Any], decode: Any) -> Tuple[List[Any], Dict[str, Any], Dict[str, Any]]:
    """Return what is passed by position and by name, and what of it the caller reads again."""
    args: List[Any] = []
    kwargs: Dict[str, Any] = {}
    watched: Dict[str, Any] = {}
    skipped = False
    for argument in event["args"]:
        if argument["form"] == "defaulted":
            skipped = True
            continue
        value = decode(argument["value"])
        if argument["name"] in event.get("watched", ()):
            watched[argument["name"]] = value
        if argument["form"] == "keyword" or (argument["form"] == "unknown" and skipped):
            kwargs[argument["name"]] = value
        else:
            args.append(value)
    return args, kwargs, watched
