"""Which modules a release has, by itself and through its dependencies, and what looking something up can come to."""

from dataclasses import dataclass

from matrix.signatures.installed import STANDARD, declared_modules, installed_source, is_installed
from matrix.signatures.model import Definition, ReleaseSource, Source


@dataclass(frozen=True, slots=True)
class Found:
    """A module (without a definition), or what a definition makes; ``others`` are the ways it may be made instead.

    ``owner`` is the class that it was found in.
    """

    module: str
    definition: Definition | None = None
    others: tuple[Definition, ...] = ()
    owner: "Found | None" = None

    @property
    def kind(self) -> str:
        """``module``, or the definition's kind."""
        return "module" if self.definition is None else self.definition.kind

    @property
    def path(self) -> str:
        """Where it is defined."""
        return self.module if self.definition is None else f"{self.module}.{self.definition.qualname}"


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no such thing: ``path`` is what could not be found."""

    path: str


@dataclass(frozen=True, slots=True)
class ImportFails:
    """It cannot be imported: ``module`` is not among the release and its declared dependencies."""

    module: str
    importer: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """Reading does not tell."""

    reason: str


Answer = Found | Missing | ImportFails | Unknown


@dataclass(slots=True)
class Modules:
    """One release's modules. ``also`` are distributions that lie beside it without being declared."""

    release: ReleaseSource
    also: tuple[str, ...] = ()

    def source(self, module: str) -> Source | None:
        """Return the module of the release, or of what is installed."""
        return self.release.modules.get(module) or (None if self.owns(module) else installed_source(module))

    def owns(self, module: str) -> bool:
        """Tell whether the module's top-level package belongs to the release."""
        top = module.partition(".")[0]
        return any(name == top or name.startswith(f"{top}.") for name in self.release.modules)

    def is_module(self, path: str) -> bool | None:
        """Tell whether there is such a module (a namespace package counts); None where that is not known."""
        if path in self.release.modules or any(name.startswith(f"{path}.") for name in self.release.modules):
            return True
        if self.owns(path):
            return False
        if is_installed(path):
            return True
        return False if is_installed(path.partition(".")[0]) else None

    def is_available(self, module: str) -> bool | None:
        """Tell whether the module's top-level package is there with only the declared dependencies installed."""
        top = module.partition(".")[0]
        if self.owns(module) or top in STANDARD:
            return True
        declared, complete = declared_modules((*self.release.requires, *self.also))
        return True if top in declared else False if complete else None
