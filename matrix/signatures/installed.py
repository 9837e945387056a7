"""What a release's dependencies hold, read from the environment that we run in; nothing of them is imported."""

import importlib.machinery
import importlib.metadata
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from packaging.markers import UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from matrix.signatures.archives import File
from matrix.signatures.model import Source

# Everything below these is the interpreter's own: it changes with Python, not with a release.
STANDARD = sys.stdlib_module_names | {"__future__", "__main__"}


@cache
def installed_source(module: str) -> Source | None:
    """Return what an installed module holds, None where it is not installed or is not written in Python."""
    spec = _find(module)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    from matrix.signatures.reading import read_source  # noqa: PLC0415 # griffe takes 0.3 s, and is rarely needed here

    try:
        data = Path(spec.origin).read_bytes()
    except OSError:
        return None
    return read_source(File(spec.origin, module, spec.submodule_search_locations is not None, data))


@cache
def _find(module: str) -> importlib.machinery.ModuleSpec | None:
    """Find a module without importing the packages that it lies in, as `importlib.util.find_spec` would."""
    parent = module.rpartition(".")[0]
    path: Iterable[str] | None = None
    if parent:
        above = _find(parent)
        if above is None or above.submodule_search_locations is None:
            return None
        path = list(above.submodule_search_locations)
    try:
        return importlib.machinery.PathFinder.find_spec(module, None if path is None else list(path))
    except (ImportError, ValueError, OSError):
        return None


def is_installed(module: str) -> bool:
    """Tell whether there is such a module, written in whatever language."""
    return module.partition(".")[0] in sys.builtin_module_names or _find(module) is not None


@cache
def _provided() -> dict[str, frozenset[str]]:
    """Return the top-level modules by the distribution that holds them."""
    found: dict[str, set[str]] = {}
    for module, distributions in importlib.metadata.packages_distributions().items():
        for name in distributions:
            found.setdefault(canonicalize_name(name), set()).add(module)
    return {name: frozenset(modules) for name, modules in found.items()}


@cache
def declared_modules(requires: tuple[str, ...]) -> tuple[frozenset[str], bool]:
    """Return the top-level modules that come with these requirements and theirs, and whether that is all of them.

    It is not all where a distribution is not installed here: its name then counts as its module, and it may hold more.
    """
    modules: set[str] = set()
    complete = True
    waiting, seen = list(_names(requires)), set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        modules |= {name.replace("-", "_")} | _provided().get(name, frozenset())
        try:
            waiting.extend(_names(importlib.metadata.requires(name) or ()))
        except importlib.metadata.PackageNotFoundError:
            complete = False
    return frozenset(modules), complete


def _names(requires: Iterable[str]) -> list[str]:
    """Return the distributions that are installed without any extra."""
    names = []
    for text in requires:
        try:
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                names.append(str(canonicalize_name(requirement.name)))
        except (InvalidRequirement, UndefinedEnvironmentName):
            continue
    return names
