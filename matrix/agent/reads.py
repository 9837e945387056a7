"""What a caller imports and reads of the subject, off its source."""

from __future__ import annotations

import ast
import os
import types
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from . import callsite, uses
from .symbols import resolves, symbol_of
from .values import Json


def module_attribute(chain: Sequence[str], frame: types.FrameType) -> Optional[Tuple[Any]]:
    """Return (object,) of a dotted name that goes through modules only, None for any other."""
    found: Any = callsite.meant(chain[0], frame)
    for name in chain[1:]:
        if not isinstance(found, (types.ModuleType, type)) or (isinstance(found, type) and name not in vars(found)):
            return None
        if name not in vars(found):
            return None
        found = vars(found)[name]
    return (
        (found,)
        if len(chain) > 1 or isinstance(found, (types.ModuleType, type, types.FunctionType, types.BuiltinFunctionType))
        else None
    )


def imports_of(source: callsite.Source, file: str, modules: Sequence[str]) -> Iterator[Json]:
    """Yield the imports at the top of a file of the suite, with the names that it cannot be loaded without."""
    top = next((uses.used_at_top(tree) for tree in source.parents.values() if isinstance(tree, ast.Module)), ())
    for node in source.imports:
        if not isinstance(source.function(node), ast.Module):
            continue
        optional = not isinstance(source.parents[node], ast.Module)
        for module, names in imported(node):
            if module != "__future__":
                event = {
                    "e": "import",
                    "file": file,
                    "module": module,
                    "names": names,
                    "optional": optional,
                    "subject": module.split(".")[0] in modules,
                }
                used = [] if optional else [a.name for a in node.names if (a.asname or a.name.split(".")[0]) in top]
                if event["subject"] and used:
                    event["used"] = [name for name in used if name in (names or [module])]
                yield event


def relative_imports_of(source: callsite.Source, path: str) -> Iterator[str]:
    """Yield where the modules would lie that a file of the suite imports relatively, at its top, and has to."""
    for node in source.imports:
        if isinstance(node, ast.ImportFrom) and node.level and isinstance(source.parents[node], ast.Module):
            folder = path
            for _ in range(node.level):
                folder = os.path.dirname(folder)
            inside = os.path.join(folder, *(node.module or "").split("."))
            yield inside.rstrip(os.sep) + ".py"
            for alias in node.names:
                yield os.path.join(inside, alias.name + ".py")


def imported(node: ast.AST) -> Iterator[Tuple[str, List[str]]]:
    """Yield (module, names) of an import statement; relative imports are the suite's own."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, []
    elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
        yield node.module, [alias.name for alias in node.names]


def reads_of(source: callsite.Source, node: ast.AST, frame: types.FrameType, modules: Sequence[str]) -> List[Json]:
    """Return the reads of attributes of the subject's modules in an expression or statement, as events."""
    made: Dict[str, Json] = {}
    for chain in source.reads(node):
        symbol = spelling(chain, frame)
        if symbol and symbol.partition(":")[2] and symbol.partition(":")[0].split(".")[0] in modules:
            made[symbol] = {"e": "read", "path": symbol}
    return list(made.values())


def spelling(chain: Sequence[str], frame: types.FrameType) -> Optional[str]:
    """Return ``module:attributes`` for a dotted name as the caller spelled it.

    ``oras.client.OrasClient`` is ``oras.client:OrasClient`` although its class is defined elsewhere, and ``Layout``
    that was imported from ``oras.layout`` is ``oras.layout:Layout``. None for what begins with a local value.
    """
    found: Any = None
    for names in (frame.f_locals, frame.f_globals):
        if chain[0] in names:
            found = names[chain[0]]
            break
    source = callsite.source_of(frame.f_code.co_filename)
    if chain[0] in frame.f_locals and frame.f_locals is not frame.f_globals and callable(found):
        # A local name for what the file imports by another.
        other = [name for name, item in frame.f_globals.items() if item is found and name in source.origins]
        chain = [*other[:1], *chain[1:]] if other else chain
    rest = list(chain[1:])
    if isinstance(found, types.ModuleType):
        while rest and isinstance(vars(found).get(rest[0]), types.ModuleType):
            found = vars(found)[rest.pop(0)]
        return attributes(found, rest, found.__name__)
    if isinstance(found, (type, types.FunctionType)) or callable(found):
        symbol = symbol_of(found)
        home = source.origins.get(chain[0]) or (symbol if symbol and resolves(symbol, found) else None)
        return "%s%s" % (home, "".join("." + name for name in rest)) if home and ":" in home else None
    return None


def attributes(module: types.ModuleType, rest: Sequence[str], name: str) -> Optional[str]:
    """Return ``module:a.b``, only as far as it leads through classes: beyond are values."""
    found: Any = module
    taken: List[str] = []
    for part in rest:
        if isinstance(found, (types.ModuleType, type)) and part in vars(found):
            found = vars(found)[part]
            taken.append(part)
        else:
            break
    return "%s:%s" % (name, ".".join(taken))
