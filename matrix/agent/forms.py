"""In what form a call's arguments were given, as its caller spelled them."""

from __future__ import annotations

import ast
import inspect
import types
from typing import Any, Optional, Tuple

from . import callsite


class Forms:
    """In what form each argument was given."""

    def __init__(self, site: Optional[callsite.Site] = None, frame: Any = None, before: int = 0) -> None:
        """Read them off the caller's spelling in ``frame``, ``before`` being the receiver's; else they are unknown."""
        self.positional: Optional[int] = None
        self.keywords: Optional[Tuple[str, ...]] = None
        if site is None:
            return
        rest = [spread(node, frame, (list, tuple)) for node in site.rest]
        if site.positional is not None and all(held is not None for held in rest):
            self.positional = site.positional + sum(map(len, rest)) - before
        names = [spread(node, frame, (dict,)) for node in site.spread]
        if site.keywords is not None and all(held is not None for held in names):
            self.keywords = (*site.keywords, *(name for held in names for name in held))

    def of(self, name: str, index: Optional[int]) -> str:
        """Return the form of the parameter ``name`` at ``index`` (None: keyword-only)."""
        if self.keywords is not None and name in self.keywords:
            return "keyword"
        if self.positional is not None and index is not None and index < self.positional:
            return "positional"
        if self.positional is None or self.keywords is None:
            return "unknown"
        return "defaulted"


def spread(node: ast.expr, frame: Any, kinds: Tuple[type, ...]) -> Any:
    """Return the collection that stands behind a star in a call; None where it is not certain which."""
    chain = callsite.chain_of(node)
    held = resolve(chain, frame) if chain is not None and len(chain) == 1 else None
    return held if type(held) in kinds else None


def resolve(chain: Tuple[str, ...], frame: Any) -> Any:
    """Return what a dotted name means in ``frame``, without running any code of the subject's; None if unknown."""
    if frame is None:
        return None
    found: Any = callsite.meant(chain[0], frame)
    for name in chain[1:]:
        if isinstance(found, types.ModuleType):
            found = vars(found).get(name)
        else:
            found = inspect.getattr_static(found, name, None)
            found = getattr(found, "__func__", found)
        if found is None:
            return None
    return found
