"""Finds what a trace names in the release: modules, and what dotted names lead to."""

from __future__ import annotations

import sys
from typing import Any, Tuple

from .harmless import usable


class Stop(BaseException):
    """An error of the agent's own: not an ``Exception``, for packages catch those."""


class Unreplayable(Stop):
    """The trace does not hold what is needed here."""


class Blocked(Stop):
    """An earlier call failed to give what is needed here."""

    def __init__(self, call: int, reason: str) -> None:
        """Name the call."""
        super().__init__(reason)
        self.call, self.reason = call, reason


class Absent(Blocked):
    """A result is there, but not what the caller took out of it."""


class Missing(Stop):
    """The release does not have what is asked for."""


class Broken(Stop):
    """A module of the release does not import."""


def import_module(name: str, modules: Tuple[str, ...]) -> Any:
    """Import a module of the subject.

    Raises:
        Missing: there is no such module in this release.
        Broken: it is there, and does not import; the message names what is missing.
    """
    import importlib

    found = sys.modules.get(name)
    if found is not None:
        return found
    try:
        return importlib.import_module(name)
    except Stop:
        raise
    except ModuleNotFoundError as error:
        absent = error.name or ""
        if name == absent or name.startswith(absent + "."):
            raise Missing("no module %s" % absent) from None
        raise Broken("%s needs %s" % (name, absent)) from None
    except BaseException as error:
        raise Broken("%s: %s: %s" % (name, type(error).__name__, first_line(error))) from None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, shortened."""
    try:
        lines = str(error).splitlines()
    except Exception:
        return ""
    return lines[0][:2000] if lines else ""


def find(path: str, modules: Tuple[str, ...]) -> Any:
    """Return what ``module:a.b`` leads to, importing the module.

    Raises:
        Missing, Broken: it leads nowhere in this release.
    """
    module, _, rest = path.partition(":")
    found = import_module(module, modules)
    at = module
    for part in filter(None, rest.split(".")):
        if at != module and isinstance(found, type(sys)) and found.__name__.split(".")[0] not in modules:
            raise Missing("%s is of another package" % at)  # a trace reaches nothing through what the subject imports
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Missing("%s has no %s" % (at, part)) from None
        at = "%s.%s" % (at, part)
    return found


def checked(found: Any, name: str) -> Any:
    """Return what a trace led to.

    Raises:
        Unreplayable: it is nothing that a trace may call.
    """
    if not usable(found):
        raise Unreplayable("%s is of another package" % name)
    return found
