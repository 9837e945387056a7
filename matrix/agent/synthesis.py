"""Makes functions of the shape that the caller's had, which play back."""

from __future__ import annotations

import ast
import keyword
from typing import Any, Dict, List

from .standard import BadValue
from .values import Decoder, Json


def synthesize(definition: Json, player: Any, decoder: Decoder) -> Any:
    """Return a function of the recorded shape that asks ``player`` what to do; its names are checked identifiers.

    Raises:
        BadValue: a name is none.
    """
    names: List[str] = definition["names"]
    name = definition["name"] if definition["name"] != "<lambda>" else "lambda_"
    for identifier in [name, *names]:  # it goes into the text
        if not identifier.isidentifier() or keyword.iskeyword(identifier):
            raise BadValue("%r is no identifier" % identifier)
    defaults = [decoder.decode(value) for value in definition.get("defaults", [])]
    source = "%sdef %s(%s):\n    %s\n" % (
        "async " if definition["kind"] in ("coroutine", "asyncgen") else "",
        name,
        parameters(definition, len(defaults)),
        BODIES[definition["kind"]] % ", ".join("%r: %s" % (n, n) for n in names),
    )
    kwdefaults = {key: decoder.decode(value) for key, value in definition.get("kwdefaults", {}).items()}
    space: Dict[str, Any] = {
        "__name__": definition.get("module") or "caller",
        "_play": player.playback.play,
        "_stub": definition["id"],
        "_d": defaults,
        "_k": kwdefaults,
    }
    tree = ast.increment_lineno(ast.parse(source), definition.get("line", 1) - 1)
    # Only checked identifiers were put into the text.
    exec(compile(tree, decoder.decode(definition.get("file", "<stub>")), "exec", dont_inherit=True), space)
    function = space[name]
    function.__name__, function.__qualname__ = definition["name"], definition.get("qualname", definition["name"])
    function.__doc__ = decoder.decode(definition.get("doc"))
    return function


def finish(function: Any, definition: Json, decoder: Decoder) -> None:
    """Give a stub its annotations and attributes: they may lead back to it."""
    function.__annotations__ = {key: decoder.decode(value) for key, value in definition.get("annotations", {}).items()}
    vars(function).update((key, decoder.decode(value)) for key, value in definition.get("state", {}).items())


BODIES = {
    "function": "return _play(_stub, {%s})",
    "coroutine": "return _play(_stub, {%s})",
    "generator": "return (yield from _play(_stub, {%s}))",
    "asyncgen": "for item in _play(_stub, {%s}): yield item",
}


def parameters(definition: Json, defaulted: int) -> str:
    """Return the text of a parameter list."""
    names, positional = definition["names"], definition["positional"]
    kwonly, made = definition["kwonly"], []
    for index, name in enumerate(names[:positional]):
        first = index - (positional - defaulted)
        made.append("%s=_d[%d]" % (name, first) if first >= 0 else name)
        if definition["posonly"] == index + 1:
            made.append("/")
    rest = names[positional + kwonly :]
    if definition["varargs"]:
        made.append("*" + rest.pop(0))
    elif kwonly:
        made.append("*")
    made += [
        "%s=_k[%r]" % (n, n) if n in definition.get("kwdefaults", {}) else n
        for n in names[positional : positional + kwonly]
    ]
    return ", ".join(made + (["**" + rest[0]] if definition["varkw"] else []))
