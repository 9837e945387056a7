"""Names of what can be imported: ``module:qualified.name``."""

from __future__ import annotations

import sys
import types
from typing import Any, Optional


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


def resolves(symbol: str, obj: Any) -> bool:
    """Say whether ``symbol`` leads to ``obj``."""
    try:
        return find_symbol(symbol) is obj
    except LookupError:
        return False
