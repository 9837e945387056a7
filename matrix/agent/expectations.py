"""What a caller is ready to catch, and the warnings that it awaits."""

from __future__ import annotations

import ast
import re
import types
from typing import Any, Dict, List, Sequence

from . import callsite
from .reads import module_attribute
from .symbols import symbol_of
from .values import Json


def expectation(site: callsite.Site, frame: types.FrameType) -> List[Json]:
    """Return what the caller is ready to catch: ``{"types": [...], "match": ...}`` each."""
    made: List[Json] = []
    for nodes, match in site.expected:
        found = [module_value(node, frame) for node in nodes]
        entry: Dict[str, Json] = {"types": [place_of(kind) for kind in found if isinstance(kind, type)]}
        if isinstance(match, ast.Constant):
            entry["match"] = match.value
        made.append(entry)
    return made


def place_of(kind: type) -> str:
    """Return where a class was made, as the description of an exception has it: of a local one too."""
    return "%s:%s" % (kind.__module__, kind.__qualname__)


def awaited(site: callsite.Site, frame: types.FrameType) -> List[Json]:
    """Return the warnings that the caller awaits: ``{"types": [...], "match": ..., "all": bool}`` each."""
    made: List[Json] = []
    for nodes, match, whole in site.awaits:
        found = [module_value(node, frame) for node in nodes]
        entry: Dict[str, Json] = {"types": [symbol_of(kind) for kind in found if isinstance(kind, type)], "all": whole}
        if isinstance(match, ast.Constant) and isinstance(match.value, str):
            entry["match"] = match.value
        made.append(entry)
    return made


def warning(message: Any, awaits: Sequence[Json], look: Any) -> Json:
    """Return a warning that was shown: its type, its file, and for each that is awaited whether it is that."""
    names = {symbol_of(kind) for kind in message.category.__mro__}
    text = str(message.message)
    met = [
        (not entry["types"] or not names.isdisjoint(entry["types"]))
        and (entry.get("match") is None or re.search(entry["match"], text) is not None)
        for entry in awaits
    ]
    return {"type": symbol_of(message.category), "file": look(str(message.filename)), "met": met}


def module_value(node: ast.expr, frame: types.FrameType) -> Any:
    """Return the class that an expression names."""
    chain = callsite.chain_of(node)
    found = module_attribute(chain, frame) if chain else None
    return found[0] if found else None
