"""Checks the values of a trace (docs/trace-format.md, "Values"), and notes what they refer to."""

import base64
import binascii
import math
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from matrix.agent.contents import content_of
from matrix.agent.hints import HINTS
from matrix.agent.making import MEMBERS
from matrix.agent.standard import MADE, SINGLETONS, STD

Json = Any
# Types of the standard library that are no constructor's alone.
NAMED = ("exception", "defaultdict", "distribution", *MADE, *HINTS)
LARGEST_ID = 1 << 53
# A text that is shown to people, or becomes a path or a name.
LONGEST_NAME = 4096
LONGEST_SHOWN = 80
LAST_LINE = 1 << 24  # of a file of source
DIGEST = re.compile(r"[0-9a-f]{64}")
SYMBOL = re.compile(r"[^\s:]{1,500}:[^\n\0]{0,1000}")
# ``module:qualified.name`` as the caller spelled it; a lambda is called by no better name.
PATH = re.compile(r"[^\W\d]\w*(?:\.\w+)*:(?:(?:[^\W\d]\w*|<lambda>)(?:\.(?:[^\W\d]\w*|<lambda>))*)?")
NAME = re.compile(r"[^\W\d]\w*")
CLASS = re.compile(r"[^\W\d]\w*(?:\.(?:[^\W\d]\w*|<locals>))*")
TEMPLATE = re.compile(r"(?:[^{}]++|\{\{|\}\}|\{[^\W\d]\w*\})*+")
ARGUMENT: dict[str, Any] = {"name": str, "form": str, "value": object}
FORMS = ("positional", "keyword", "defaulted", "unknown")
DICTIONARY_PAIR, PATH_STEP = 2, 2
# The keys of a path's steps, by kind: an attribute's name, a dictionary's key, an exception's argument.
PATH_KINDS: dict[str, type | tuple[type, ...]] = {"a": str, "k": (str, int), "x": int, "y": int}


class Invalid(Exception):  # noqa: N818 # the reason why a line is refused; read_trace makes a TraceError of it
    """What is wrong with a line, in words."""


def refuse(reason: str) -> NoReturn:
    """Refuse the line that is checked."""
    raise Invalid(reason)


def fields(
    where: str, value: Json, required: Mapping[str, type | tuple[type, ...]], optional: Mapping[str, Any] | None = None
) -> None:
    """Check that an object has its fields, each of its type, and no others.

    Raises:
        Invalid: it has not; the reason begins with ``where``.
    """
    if not isinstance(value, dict):
        refuse(f"{where} must be an object")
    for name, kind in required.items():
        if name not in value:
            refuse(f"{where} without {name!r}")
        item = value[name]
        if type(item) is not kind:  # on the way of each release: the common case first
            of_type(where, name, item, kind)
    if len(value) == len(required):
        return
    for name, item in value.items():
        if name not in required:
            known = (optional or {}).get(name)
            if known is None:
                refuse(f"{where} with the unknown key {shown(name)}")
            of_type(where, name, item, known)


def of_type(where: str, name: str, item: Json, kind: Any) -> None:  # noqa: ANN401 # as isinstance takes it
    """Check the type of a field; to Python, true is a number, but not to a trace."""
    if not isinstance(item, kind) or (isinstance(item, bool) and kind is int):
        refuse(f"{where}: {shown(name)} is of the wrong type")


def shown(value: Json) -> str:
    """Return a piece of a file, as it may stand in a message."""
    text = ascii(value)
    return text if len(text) <= LONGEST_SHOWN else text[: LONGEST_SHOWN - 3] + "..."


def ident(where: str, value: Json, lowest: int = 1) -> int:
    """Return a number of a call or a definition."""
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value < LARGEST_ID:
        refuse(f"{where} must be a number from {lowest} on, not {shown(value)}")
    return value


def name_of(where: str, value: Json, pattern: re.Pattern[str] = NAME) -> str:
    """Return a text of a form."""
    if not isinstance(value, str) or len(value) > LONGEST_NAME or not pattern.fullmatch(value):
        refuse(f"{where} is malformed: {shown(value)}")
    return value


def digest(where: str, value: Json) -> str:
    """Return the digest that names a content."""
    return name_of(where, value, DIGEST)


def decoded(where: str, value: Json) -> bytes:
    """Return what stands in base64."""
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        refuse(f"{where} is no base64")


def held_content(where: str, line: Json) -> bytes:
    """Return the content that the definition ``line`` holds, plainly or packed."""
    holding: dict[str, type] = {"packed": str, "size": int} if "packed" in line else {"data": str}
    fields(where, line, {"def": str, "id": str, **holding})
    try:
        return content_of(line)
    except ValueError:
        refuse(f"{where} is no base64" if "data" in line else f"{where} is not packed as it says")


def one_of(where: str, value: Json, words: Collection[str]) -> None:
    """Check that a text is one of some words."""
    if not isinstance(value, str) or value not in words:
        refuse(f"{where} is not known: {shown(value)}")


@dataclass(slots=True)
class Values:
    """Checks values; collects the calls, definitions and contents that they name.

    ``modules`` are the subject's: nothing of others is ever called.
    """

    modules: tuple[str, ...] = ()
    calls: set[int] = field(default_factory=set)
    definitions: set[tuple[str, int]] = field(default_factory=set)
    contents: set[str] = field(default_factory=set)

    def argument(self, value: Json) -> None:
        """Check what a replay makes again.

        Raises:
            Invalid: it is not of the format.
        """
        self.value(value, 0, ARGUMENTS)

    def look(self, value: Json) -> None:
        """Check what a result looks like."""
        self.value(value, 0, LOOKS)

    def text(self, where: str, value: Json) -> None:
        """Check a value that must be a text."""
        if isinstance(value, dict) and not TEXTS.keys() & value.keys():
            refuse(f"{where} must be a text")
        if not isinstance(value, (str, dict)) or (isinstance(value, str) and "\0" in value):
            refuse(f"{where} must be a text")
        self.value(value, 0, TEXTS)

    def named(self, where: str, value: Json, kinds: "Kinds", depth: int = 0) -> None:
        """Check an object whose keys are any names, and whose items are values."""
        if not isinstance(value, dict):
            refuse(f"{where} must be an object")
        for item in value.values():
            self.value(item, depth, kinds)

    def value(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check a value that stands inside ``depth`` others."""
        if isinstance(value, dict):
            for key in value:
                if key.startswith("$"):
                    check = kinds.get(key)
                    if check is None:
                        refuse(f"the value {shown(key)} is not known here")
                    check(self, value, depth + 1, kinds)
                    return
            for item in value.values():
                self.value(item, depth + 1, kinds)
        elif isinstance(value, list):
            for item in value:
                self.value(item, depth + 1, kinds)
        elif isinstance(value, float) and not math.isfinite(value):
            refuse(f"{value} is no number of JSON")

    # One method for each kind of value; ``depth`` counts the value itself.

    def of_tmpl(self, value: Json, _depth: int, _kinds: "Kinds") -> None:
        """Check a text with names of folders and the like in it."""
        fields("a $tmpl", value, {"$tmpl": str})
        if not TEMPLATE.fullmatch(value["$tmpl"]):
            refuse(f"a $tmpl with a stray brace: {shown(value['$tmpl'])}")

    def of_stored(self, value: Json, _depth: int, _kinds: "Kinds") -> None:
        """Check a text or bytes that are stored apart."""
        kind = "$text" if "$text" in value else "$blob"
        fields(f"a {kind}", value, {kind: str})
        self.contents.add(digest(f"a {kind}", value[kind]))

    def of_bytes(self, value: Json, _depth: int, _kinds: "Kinds") -> None:
        """Check bytes."""
        fields("a $bytes", value, {"$bytes": str})
        decoded("a $bytes", value["$bytes"])

    def of_float(self, value: Json, _depth: int, _kinds: "Kinds") -> None:
        """Check a number that JSON has no form for."""
        fields("a $float", value, {"$float": str})
        if value["$float"] not in ("nan", "inf", "-inf"):
            refuse(f"a $float that is none: {shown(value['$float'])}")

    def of_collection(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check a tuple or a set."""
        kind = next(key for key in ("$tuple", "$set", "$frozenset", "$join") if key in value)
        fields(f"a {kind}", value, {kind: list})
        for item in value[kind]:
            self.value(item, depth, kinds)

    def of_dict(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check a mapping whose keys are any values."""
        fields("a $dict", value, {"$dict": list})
        for pair in value["$dict"]:
            if not isinstance(pair, list) or len(pair) != DICTIONARY_PAIR:
                refuse("a $dict that is no list of pairs")
            for item in pair:
                self.value(item, depth, kinds)

    def of_cycle(self, value: Json, depth: int, _kinds: "Kinds") -> None:
        """Check the way up to a value that this one stands in."""
        fields("a $cycle", value, {"$cycle": int})
        if not 1 <= value["$cycle"] < depth:
            refuse(f"a $cycle that leads out of its value: {shown(value['$cycle'])}")

    def of_std(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check an object of the standard library."""
        fields("a $std", value, {"$std": str, "args": list}, {"type": str})
        name = value["$std"]
        if name not in STD and name not in SINGLETONS and name not in NAMED:
            refuse(f"the standard type {shown(name)} is not known")
        if ("type" in value) != (name == "exception"):
            refuse("only an exception has a type, and must have one")
        if name == "exception":
            name_of("the type of an exception", value["type"])
        for item in value["args"]:
            self.value(item, depth, kinds)

    def of_opaque(self, value: Json, _depth: int, _kinds: "Kinds") -> None:
        """Check the reason why there is no value."""
        fields("an $opaque", value, {"$opaque": str})

    def of_ref(self, value: Json, _depth: int, _kinds: "Kinds") -> None:
        """Check a reference to the result of a call."""
        fields("a $ref", value, {"$ref": int}, {"path": list})
        self.calls.add(ident("a $ref", value["$ref"]))
        for index, step in enumerate(value.get("path", ())):
            if not isinstance(step, list) or len(step) != PATH_STEP:
                refuse("a path of a $ref must be steps of [kind, key]")
            kind, key = step
            wanted = PATH_KINDS.get(kind) if isinstance(kind, str) else None
            if wanted is None or not isinstance(key, wanted) or (kind in ("x", "y") and index):
                refuse(f"a path of a $ref with the step {shown(step)}")

    def of_symbol(self, value: Json, _depth: int, _kinds: "Kinds") -> None:
        """Check the name of something that can be imported."""
        fields("a $symbol", value, {"$symbol": str})
        name_of("a $symbol", value["$symbol"], SYMBOL)

    def of_bound(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check a method of an object."""
        fields("a $bound", value, {"$bound": str, "on": object})
        self.value(value["on"], depth, kinds)

    def of_make(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check a named tuple of the subject's."""
        fields("a $make", value, {"$make": str, "args": list})
        self.subjects("a $make", value["$make"])
        for item in value["args"]:
            self.value(item, depth, kinds)

    def of_new(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check an object of the subject's: how it was constructed, and its state."""
        fields("a $new", value, {"$new": str, "args": list}, {"state": dict, "bare": bool})
        self.subjects("a $new", value["$new"])
        self.arguments(value["args"], depth)
        self.named("the state of a $new", value.get("state", {}), kinds, depth)

    def of_answer(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check an answer of a server."""
        fields("an $answer", value, {"$answer": dict})
        fields(
            "an $answer",
            value["$answer"],
            dict.fromkeys(("status_code", "reason", "url", "request", "headers", "content"), object),
        )
        self.named("an $answer", value["$answer"], kinds, depth)

    def of_file(self, value: Json, _depth: int, _kinds: "Kinds") -> None:
        """Check an open file."""
        fields("a $file", value, {"$file": object, "mode": (str, int), "at": int})
        self.text("a $file", value["$file"])
        ident("the place in a $file", value["at"], 0)
        if isinstance(value["mode"], str) and not set(value["mode"]) <= set("rwaxbtU+"):
            refuse(f"a $file of the mode {shown(value['mode'])}")

    def arguments(self, arguments: Json, depth: int) -> None:
        """Check the arguments of a call, with their forms."""
        for argument in arguments:
            fields("an argument", argument, ARGUMENT)
            one_of("the form of an argument", argument["form"], FORMS)
            self.value(argument["value"], depth, ARGUMENTS)

    def subjects(self, where: str, path: Json) -> None:
        """Check that a path leads into the subject."""
        name_of(where, path, PATH)
        if path.partition(":")[0].partition(".")[0] not in self.modules:
            refuse(f"{where} is not the subject's: {shown(path)}")

    def of_defined(self, value: Json, _depth: int, _kinds: "Kinds") -> None:
        """Check the number of a definition."""
        kind = next(key for key in ("$stub", "$class", "$inst", "$mock") if key in value)
        fields(f"a {kind}", value, {kind: int})
        self.definitions.add((kind[1:], ident(f"a {kind}", value[kind])))

    def of_member(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check a descriptor of a class body."""
        fields("a $member", value, {"$member": str, "of": object}, {"fset": object, "fdel": object})
        one_of("a $member", value["$member"], (*MEMBERS, "property"))
        for part in ("of", "fset", "fdel"):
            self.value(value.get(part), depth, kinds)

    def of_obj(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check what an object of the subject's looks like."""
        fields("an $obj", value, {"$obj": str}, {"state": dict, "data": object, "name": (str, type(None))})
        self.named("the state of an $obj", value.get("state", {}), kinds, depth)
        self.value(value.get("data"), depth, kinds)

    def of_duck(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check an object of another package: its class, and what is known of its attributes."""
        fields("a $duck", value, {"$duck": str, "attrs": dict})
        name_of("the class of a $duck", value["$duck"], CLASS)
        self.named("the attributes of a $duck", value["attrs"], kinds, depth)

    def of_exception(self, value: Json, depth: int, kinds: "Kinds") -> None:
        """Check what an exception looks like."""
        fields("an $exception", value, {"$exception": dict})
        self.raised(value["$exception"], kinds, depth)

    def raised(self, raised: Json, kinds: "Kinds", depth: int = 0) -> None:
        """Check an exception as data."""
        made = dict.fromkeys(("value", "cause", "context"), object) if kinds is ARGUMENTS else {}
        fields("an exception", raised, {"type": str, "mro": list, "args": list}, {"str": object, **made})
        for symbol in [raised["type"], *raised["mro"]]:
            name_of("the type of an exception", symbol, SYMBOL)
        for item in (raised["args"], *(raised.get(name) for name in ("str", "value", "cause", "context"))):
            self.value(item, depth, kinds)


Check = Callable[[Values, Json, int, Any], None]
Kinds = Mapping[str, Check]

DATA: Kinds = {
    "$tmpl": Values.of_tmpl,
    "$text": Values.of_stored,
    "$blob": Values.of_stored,
    "$bytes": Values.of_bytes,
    "$float": Values.of_float,
    "$tuple": Values.of_collection,
    "$set": Values.of_collection,
    "$frozenset": Values.of_collection,
    "$dict": Values.of_dict,
    "$cycle": Values.of_cycle,
    "$std": Values.of_std,
    "$opaque": Values.of_opaque,
    "$symbol": Values.of_symbol,
    "$bound": Values.of_bound,
    "$ref": Values.of_ref,
    "$inst": Values.of_defined,
    "$mock": Values.of_defined,
    "$stub": Values.of_defined,
    "$class": Values.of_defined,
}
# What a replay makes again.
ARGUMENTS: Kinds = {
    **DATA,
    "$join": Values.of_collection,
    "$make": Values.of_make,
    "$new": Values.of_new,
    "$answer": Values.of_answer,
    "$file": Values.of_file,
    "$duck": Values.of_duck,
    "$member": Values.of_member,
}
# What is only compared.
LOOKS: Kinds = {**DATA, "$obj": Values.of_obj, "$duck": Values.of_duck, "$exception": Values.of_exception}
TEXTS: Kinds = {kind: ARGUMENTS[kind] for kind in ("$tmpl", "$text", "$ref", "$join")}
