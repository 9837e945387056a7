"""Whether the arguments of a recorded call still find their parameters."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matrix.rows import OK
from matrix.signatures import model
from matrix.signatures.model import Parameter

SIGNATURE, SHIFTED = "signature", "shifted"
POSITIONAL, KEYWORD, DEFAULTED, UNKNOWN_FORM = "positional", "keyword", "defaulted", "unknown"
BY_POSITION = {model.POSITIONAL_ONLY, model.POSITIONAL}
BY_NAME = {model.POSITIONAL, model.KEYWORD_ONLY}


@dataclass(frozen=True, slots=True)
class Argument:
    """How one argument was given: the name of the parameter that it met on the recorded release, and its form."""

    name: str | None
    form: str


@dataclass(frozen=True, slots=True)
class Binding:
    """``ok``, ``signature`` (does not bind) or ``shifted`` (a positional argument lands on another parameter)."""

    verdict: str
    detail: str = ""


def read_arguments(recorded: Iterable[Mapping[str, Any]]) -> tuple[Argument, ...]:
    """Return the forms of a call event's arguments.

    One of unknown form was given by position, unless a parameter before it was left to its default.
    """
    arguments: list[Argument] = []
    skipped = False
    for one in recorded:
        form = str(one.get("form", UNKNOWN_FORM))
        skipped = skipped or form == DEFAULTED
        if form == UNKNOWN_FORM:
            form = KEYWORD if skipped else POSITIONAL
        arguments.append(Argument(one.get("name"), form))
    return tuple(arguments)


def bind(parameters: Sequence[Parameter], arguments: Sequence[Argument]) -> Binding:
    """Bind a call as it was given to the parameters of another release, as the interpreter would."""
    places = [one for one in parameters if one.kind in BY_POSITION]
    takes_rest = any(one.kind == model.VAR_POSITIONAL for one in parameters)
    given = [one for one in arguments if one.form == POSITIONAL]
    if len(given) > len(places) and not takes_rest:
        return Binding(SIGNATURE, f"takes {len(places)} positional arguments, {len(given)} were given")
    keywords = [one for one in arguments if one.form == KEYWORD]
    problem = _bind_keywords(parameters, {one.name for one in places[: len(given)]}, keywords)
    return Binding(SIGNATURE, problem) if problem else _shifted(places, given, parameters)


def _bind_keywords(parameters: Sequence[Parameter], filled: set[str], keywords: Iterable[Argument]) -> str | None:
    """Return why keywords do not bind or something required is left empty, None where all is well."""
    by_name = {one.name for one in parameters if one.kind in BY_NAME}
    takes_any = any(one.kind == model.VAR_KEYWORD for one in parameters)
    named = set()
    for argument in keywords:
        if argument.name in filled & by_name:
            return f"got several values for {argument.name}"
        if argument.name not in by_name and not takes_any:
            return f"got an unexpected keyword argument {argument.name}"
        named.add(argument.name)
    required = [one for one in parameters if one.kind in BY_POSITION | BY_NAME and one.default is None]
    lacking = [one.name for one in required if one.name not in filled | (named & by_name)]
    return f"lacks the required argument {lacking[0]}" if lacking else None


def _shifted(places: Sequence[Parameter], given: Sequence[Argument], parameters: Sequence[Parameter]) -> Binding:
    """Tell whether a positional argument lands on another parameter than it met when it was recorded.

    Where its parameter's name is nowhere in the release, the parameter was renamed and is still the same one.
    """
    names = {one.name for one in parameters}
    for place, argument in zip(places, given, strict=False):
        if place.name != argument.name and argument.name in names:
            return Binding(SHIFTED, f"argument {argument.name} lands on parameter {place.name}")
    return Binding(OK)
