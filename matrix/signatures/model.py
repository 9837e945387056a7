"""What a release's source says: files, definitions, parameters, imports. Data only."""

from dataclasses import dataclass, field

# Kinds of parameters, named as `inspect.Parameter.kind.description` does (shortened where that is long).
POSITIONAL_ONLY, POSITIONAL, VAR_POSITIONAL, KEYWORD_ONLY, VAR_KEYWORD = (
    "positional-only",
    "positional or keyword",
    "variadic positional",
    "keyword-only",
    "variadic keyword",
)
PARAMETER_KINDS = (POSITIONAL_ONLY, POSITIONAL, VAR_POSITIONAL, KEYWORD_ONLY, VAR_KEYWORD)

# Kinds of definitions. `star` is `from module import *`; `deleted` is `del name`.
FUNCTION, LAMBDA, CLASS, ATTRIBUTE, ALIAS, STAR, DELETED = (
    "function",
    "lambda",
    "class",
    "attribute",
    "alias",
    "star",
    "deleted",
)
DEFINITION_KINDS = (FUNCTION, LAMBDA, CLASS, ATTRIBUTE, ALIAS, STAR, DELETED)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter as written; ``default`` and ``annotation`` are source, None where there is none."""

    name: str
    kind: str
    default: str | None = None
    annotation: str | None = None

    def __str__(self) -> str:
        """Return it as it stands in a ``def``, without its annotation."""
        stars = {VAR_POSITIONAL: "*", VAR_KEYWORD: "**"}.get(self.kind, "")
        return f"{stars}{self.name}" + (f"={self.default}" if self.default is not None else "")


def show_parameters(parameters: tuple[Parameter, ...]) -> str:
    """Return ``(a, /, b=1, *, c)``: parameters as they stand in a ``def``."""
    shown: list[str] = []
    for number, parameter in enumerate(parameters):
        before = parameters[number - 1].kind if number else None
        if before == POSITIONAL_ONLY and parameter.kind != POSITIONAL_ONLY:
            shown.append("/")
        if parameter.kind == KEYWORD_ONLY and before not in {KEYWORD_ONLY, VAR_POSITIONAL}:
            shown.append("*")
        shown.append(str(parameter))
    if parameters and parameters[-1].kind == POSITIONAL_ONLY:
        shown.append("/")
    return f"({', '.join(shown)})"


@dataclass(frozen=True, slots=True)
class Guard:
    """One condition that a definition stands under.

    ``branch`` is ``if``, ``else``, ``try``, ``except``, ``no-exception`` (the ``else`` of a ``try``) or ``loop``;
    ``test`` is the source of the condition or of the caught exceptions; ``line`` tells one statement from another.
    """

    branch: str
    test: str
    line: int


@dataclass(frozen=True, slots=True)
class Definition:
    """One thing that a file binds to a name, in the order of the file; a name can be bound more than once.

    ``qualname`` is the name in the module as ``__qualname__`` has it (``outer.<locals>.inner``); a lambda goes by the
    name it is assigned to, or by ``<lambda>``. ``target`` is the absolute path that an alias or a star import points
    to. ``value`` is the source of an attribute's value. ``body`` is the digest of the body without its docstring.
    ``calls`` are dotted names that a function's body calls whatever happens (not under ``if``, ``try`` or a loop).
    """

    qualname: str
    kind: str
    line: int
    end_line: int
    guards: tuple[Guard, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    decorators: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    target: str | None = None
    value: str | None = None
    annotation: str | None = None
    body: str | None = None
    is_async: bool = False
    is_generator: bool = False
    is_overload: bool = False
    on_instance: bool = False
    wraps: str | None = None
    calls: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last part of the qualified name."""
        return self.qualname.rpartition(".")[2]

    @property
    def access(self) -> str | None:
        """How a function is reached by what is written at it: None for what is no function.

        ``property`` is any decorator that makes reading the attribute call the function.
        """
        if self.kind not in {FUNCTION, LAMBDA}:
            return None
        if not self.owner or self.owner.endswith("<locals>"):
            return "function"
        names = {decorator.partition("(")[0].rpartition(".")[2] for decorator in self.decorators}
        if "staticmethod" in names or self.name == "__new__":
            return "staticmethod"
        if "classmethod" in names or self.name in {"__init_subclass__", "__class_getitem__"}:
            return "classmethod"
        return "property" if names & {"property", "cached_property", "setter", "deleter"} else "method"

    @property
    def owner(self) -> str:
        """The qualified name of the class or function it stands in; empty at the top of a module."""
        return self.qualname.rpartition(".")[0]


@dataclass(frozen=True, slots=True)
class Import:
    """A module that a file imports: ``name`` of ``module``, or the module itself where ``name`` is None.

    ``deferred`` imports stand in a function and do not run when the file is imported.
    """

    module: str
    name: str | None
    line: int
    guards: tuple[Guard, ...] = ()
    deferred: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """What one file holds. ``error`` says why it could not be read; then it holds nothing."""

    module: str
    package: bool
    sha256: str
    definitions: tuple[Definition, ...] = ()
    imports: tuple[Import, ...] = ()
    exports: tuple[str, ...] | None = None
    bodies: dict[str, str] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ReleaseSource:
    """Everything that is known of one release by reading it; ``modules`` go by their dotted names."""

    version: str
    filename: str
    sha256: str
    modules: dict[str, Source] = field(default_factory=dict)
    requires: tuple[str, ...] = ()
    reason: str | None = None
