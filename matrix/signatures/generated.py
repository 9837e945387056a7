"""Constructors that nobody wrote: of dataclasses and named tuples, from their fields."""

import ast

from matrix.signatures import model
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import Definition, Parameter
from matrix.signatures.modules import Found, Unknown

FIELD_BASES = {"NamedTuple", "typing.NamedTuple"}
FACTORY = "<factory>"


def dataclass_options(names: Namespace, found: Found) -> dict[str, str] | Unknown | None:
    """Return what ``@dataclass(...)`` is given, as source; None for a class that gets no ``__init__`` by it."""
    definition = found.definition
    for source in definition.decorators if definition else ():
        if is_dataclass(names, found.module, source):
            options = _keywords(source)
            return None if options.get("init") == "False" else options
        if source.partition(".")[0] in {"attr", "attrs", "pydantic"}:
            return Unknown(f"signature unknown: {found.path} is decorated with @{source}")
    return None


def is_dataclass(names: Namespace, module: str, decorator: str) -> bool:
    """Tell whether a decorator of a class is the standard library's."""
    answer = names.expression(module, decorator.partition("(")[0])
    return isinstance(answer, Found) and answer.path == "dataclasses.dataclass"


def _keywords(source: str) -> dict[str, str]:
    call = ast.parse(source, mode="eval").body
    keywords = call.keywords if isinstance(call, ast.Call) else []
    return {keyword.arg: ast.unparse(keyword.value) for keyword in keywords if keyword.arg}


def field_parameters(names: Namespace, order: list[Found], options: dict[str, str]) -> tuple[Parameter, ...] | Unknown:
    """Return the parameters of the constructor, from the fields of a class and of its dataclass bases."""
    fields: dict[str, Parameter] = {}
    for owner in reversed(order):
        own = dataclass_options(names, owner) if owner.module != "builtins" else None
        if isinstance(own, Unknown):
            return own
        if own is None and owner is not order[0]:
            continue
        for name, parameter in _own_fields(names, owner, own if own is not None else options).items():
            if parameter is None:
                fields.pop(name, None)
            else:
                fields[name] = parameter
    by_kind = sorted(fields.values(), key=lambda one: one.kind == model.KEYWORD_ONLY)
    return tuple(by_kind)


def _own_fields(names: Namespace, owner: Found, options: dict[str, str]) -> dict[str, Parameter | None]:
    """Return a class's own fields in order, None for those that the constructor does not take."""
    qualname = owner.definition.qualname if owner.definition else ""
    fields: dict[str, Parameter | None] = {}
    keyword_only = options.get("kw_only") == "True"
    for name, found in names.scope(owner.module, qualname).items():
        definition = found[0]
        if definition.kind != model.ATTRIBUTE or definition.annotation is None or definition.on_instance:
            continue
        plain = definition.annotation.strip("'\"").partition("[")[0].rpartition(".")[2]
        if plain == "ClassVar":
            continue
        if plain == "KW_ONLY":
            keyword_only = True
            continue
        fields[name] = _field(definition, keyword_only=keyword_only)
    return fields


def _field(definition: Definition, *, keyword_only: bool) -> Parameter | None:
    value, default = definition.value, definition.value
    if value and value.partition("(")[0].rpartition(".")[2] == "field" and value.endswith(")"):
        keywords = _keywords(value)
        if keywords.get("init") == "False":
            return None
        default = keywords.get("default", FACTORY if "default_factory" in keywords else None)
        keyword_only = keywords.get("kw_only", str(keyword_only)) == "True"
    kind = model.KEYWORD_ONLY if keyword_only else model.POSITIONAL
    return Parameter(definition.name, kind, default, definition.annotation)
