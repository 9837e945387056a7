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
    """Return the forms of a call event's arguments."""
    return tuple(Argument(one.get("name"), str(one.get("form", UNKNOWN_FORM))) for one in recorded)


def bind(parameters: Sequence[Parameter], arguments: Sequence[Argument]) -> Binding:
    """Bind a call as it was given to the parameters of another release, as ``inspect.Signature.bind`` would.

    An argument of unknown form is given by position as long as all before it are, else by its name.
    """
    places = [one for one in parameters if one.kind in BY_POSITION]
    takes_rest = any(one.kind == model.VAR_POSITIONAL for one in parameters)
    given = _by_position(arguments)
    if len(given) > len(places) and not takes_rest:
        return Binding(SIGNATURE, f"takes {len(places)} positional arguments, {len(given)} were given")
    filled = {one.name for one in places[: len(given)]}
    problem = _bind_keywords(parameters, filled, arguments, len(given))
    if problem:
        return Binding(SIGNATURE, problem)
    return _shifted(places, given, parameters, arguments) or Binding(OK)


def _by_position(arguments: Sequence[Argument]) -> list[Argument]:
    given: list[Argument] = []
    for argument in arguments:
        if argument.form not in {POSITIONAL, UNKNOWN_FORM}:
            break
        given.append(argument)
    # `f(a, key=1, *rest)` lists `rest` after what keywords filled: all that is positional counts.
    later = [one for one in arguments[len(given) :] if one.form == POSITIONAL]
    return given + later


def _bind_keywords(
    parameters: Sequence[Parameter], filled: set[str], arguments: Sequence[Argument], count: int
) -> str | None:
    """Return why keywords do not bind or something required is left empty, None where all is well."""
    by_name = {one.name for one in parameters if one.kind in BY_NAME}
    takes_any = any(one.kind == model.VAR_KEYWORD for one in parameters)
    positional = _by_position(arguments)[:count]
    filled = set(filled)
    for argument in arguments:
        if argument in positional or argument.form not in {KEYWORD, UNKNOWN_FORM}:
            continue
        if argument.name in filled & by_name:
            return f"got several values for {argument.name}"
        if argument.name not in by_name and not takes_any:
            return f"got an unexpected keyword argument {argument.name}"
        filled.add(argument.name or "")
    kinds = BY_POSITION | {model.KEYWORD_ONLY}
    lacking = [one.name for one in parameters if one.kind in kinds and one.default is None and one.name not in filled]
    return f"lacks the required argument {lacking[0]}" if lacking else None


def _shifted(
    places: Sequence[Parameter],
    given: Sequence[Argument],
    parameters: Sequence[Parameter],
    arguments: Sequence[Argument],
) -> Binding | None:
    """Return where a positional argument lands on another parameter than it met when it was recorded.

    A parameter that only has another name stays the same one: its old name is nowhere in the release, and its new
    name was nowhere in the recording.
    """
    names = {one.name for one in parameters}
    recorded = {one.name for one in arguments}
    for place, argument in zip(places, given, strict=False):
        renamed = argument.name not in names and place.name not in recorded
        if argument.name is not None and place.name != argument.name and not renamed:
            return Binding(SHIFTED, f"argument {argument.name} lands on parameter {place.name}")
    return None
