"""Checks each line of a trace before anything uses it (docs/trace-format.md)."""

import hashlib
import json
import keyword
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from matrix.schema_events import EVENTS, Line
from matrix.schema_values import (
    ARGUMENTS,
    LAST_LINE,
    Invalid,
    Json,
    digest,
    fields,
    held_content,
    ident,
    name_of,
    one_of,
    refuse,
    shown,
)

STUB_KINDS = ("function", "generator", "coroutine", "asyncgen")
# A content by its digest, or a definition by its kind and number.
Name = str | tuple[str, int]


class Checker:
    """Checks the lines of one trace in order; ``content`` is that of the last blob, decoded."""

    def __init__(self) -> None:
        """Begin with nothing defined, before the header."""
        self.content = b""
        self.line = 0
        self.at = 0
        self.modules: tuple[str, ...] = ()
        self.blobs: dict[str, bool] = {}  # by digest; whether it can be a service's state
        self.definitions: dict[int, str] = {}
        self.calls: set[int] = set()
        self.clocks: set[int] = set()
        # What was named and has not come, by the line that names it.
        self.open_definitions: dict[Name, int] = {}
        self.open_calls: dict[int, int] = {}
        self.lost = False
        self.named = Line()

    def check(self, line: dict[str, Any]) -> str:
        """Return what is wrong with the next line, or ""; ``at`` is the number of the line to blame for it."""
        self.line += 1
        self.at = self.line
        self.named = Line(self.modules)
        try:
            if self.line == 1:
                self.header(line)
            elif "def" in line:
                self.definition(line)
            elif "e" in line:
                self.event(line)
            else:
                return "neither a definition nor an event"
        except Invalid as error:
            return str(error)
        return ""

    def header(self, line: dict[str, Any]) -> None:
        """Check what the trace says of itself."""
        texts = dict.fromkeys(("subject", "release", "python", "profile", "suite", "tool"), str)
        fields("a header", line, {"trace": int, "command": list, "modules": list, **texts})
        if not line["modules"] or not all(isinstance(word, str) for word in line["command"]):
            refuse("a header must name modules, and a command in words")
        if line["suite"].startswith("/") or ".." in line["suite"].split("/"):
            refuse(f"a suite outside of the working folder: {shown(line['suite'])}")
        self.modules = tuple(name_of("a module", module) for module in line["modules"])

    def event(self, line: Json) -> None:
        """Check an event, and that all that it names is there."""
        self.named.event(line, EVENTS)
        self.lost = self.lost or self.named.lost
        if not self.lost:
            self.nothing_open()
            self.is_there()
        for state in self.named.states:
            self.is_state(state)
        self.clocks |= self.named.taken
        if not self.lost and self.named.clocks - self.clocks:
            refuse(f"the reading {min(self.named.clocks - self.clocks)} of the clock, which was not taken")
        for number, nested in self.named.made:
            self.came(number, nested=nested)
        for call in self.named.calls - self.calls:
            self.open_calls.setdefault(call, self.line)
        if line["e"] == "end" and not self.lost:
            for call, line_of_it in self.open_calls.items():
                self.at = line_of_it
                refuse(f"a reference to call {call}, which is not in the trace")

    def nothing_open(self) -> None:
        """Check that what definitions named has come: they may name each other, and contents that follow."""
        for name, line in self.open_definitions.items():
            if not self.is_defined(name):
                self.at = line
                refuse(f"a reference to {words(name)}, which is not defined")
        self.open_definitions.clear()

    def is_there(self) -> None:
        """Check that an event names only what is defined."""
        for name in self.names():
            if not self.is_defined(name):
                refuse(f"a reference to {words(name)}, which is not defined")

    def names(self) -> Iterator[Name]:
        """Yield the definitions and contents that the line names."""
        yield from self.named.definitions
        yield from self.named.contents
        yield from self.named.states

    def is_defined(self, name: Name) -> bool:
        """Say whether a content or a definition came."""
        return name in self.blobs if isinstance(name, str) else self.definitions.get(name[1]) == name[0]

    def is_state(self, name: str) -> None:
        """Check that a content can be a service's state."""
        if not self.blobs.get(name, self.lost):
            refuse(f"the state of a service that is no JSON object: {words(name)}")

    def came(self, number: int, *, nested: bool) -> None:
        """Note a call; one that was named before must come in the script of a call that was still under way then."""
        if number in self.calls:
            refuse(f"the call {number} is there twice")
        self.calls.add(number)
        before = self.open_calls.pop(number, None)
        if before is not None and not nested:
            self.at = before
            refuse(f"a reference to call {number}, which comes later")

    # Definitions

    def definition(self, line: Json) -> None:
        """Check a definition."""
        kind = line["def"]
        check = DEFINITIONS.get(kind) if isinstance(kind, str) else None
        if check is None:
            refuse(f"the definition {shown(kind)} is not known")
        check(self, line)
        for name in self.names():
            self.open_definitions.setdefault(name, self.line)
        for call in self.named.calls - self.calls:
            self.open_calls.setdefault(call, self.line)

    def blob(self, line: Json) -> None:
        """Check a stored content against its digest."""
        self.content = held_content("a blob", line)
        name = digest("the id of a blob", line["id"])
        if hashlib.sha256(self.content).hexdigest() != name:
            refuse("a blob whose content is not that of its digest")
        self.blobs[name] = is_object(self.content)

    def service_content(self, line: Json) -> None:
        """Check what a service held, against its digest."""
        data = held_content("a content", line)
        kind, _, name = line["id"].partition(":")
        if kind != "sha256" or hashlib.sha256(data).hexdigest() != name:
            refuse("a content that is not that of its digest")

    def define(self, line: Json, required: Mapping[str, Any], optional: Mapping[str, Any] | None = None) -> None:
        """Check what all other definitions have in common, and note the number."""
        kind = line["def"]
        fields(f"the definition of a {kind}", line, {"def": str, "id": int, **required}, optional)
        number = ident(f"the number of a {kind}", line["id"])
        if number in self.definitions:
            refuse(f"the number {number} is defined twice")
        self.definitions[number] = kind

    def stub(self, line: Json) -> None:
        """Check the shape of a function of the caller's."""
        flags = dict.fromkeys(("varargs", "varkw", "constant"), bool)
        counts = dict.fromkeys(("posonly", "positional", "kwonly"), int)
        required = {"name": str, "kind": str, "names": list, **counts, **flags}
        seen = {**dict.fromkeys(("module", "qualname"), str), **dict.fromkeys(("doc", "file"), object), "line": int}
        parts = {"defaults": list, "kwdefaults": dict, "annotations": dict, "state": dict}
        self.define(line, required, {**parts, **seen})
        for part in ("doc", "file"):
            if part in line:
                self.named.text(f"the {part} of a stub", line[part])
        if ident("the line of a stub", line.get("line", 1), 0) > LAST_LINE:
            refuse("a stub in a line that no file has")
        for part in ("annotations", "state"):
            self.named.named(f"the {part} of a stub", line.get(part, {}), ARGUMENTS)
        one_of("the kind of a stub", line["kind"], STUB_KINDS)
        names = [name_of("a parameter", name) for name in line["names"]]
        if any(keyword.iskeyword(name) for name in names) or len(set(names)) != len(names):
            refuse("parameters of a stub that are keywords, or the same")
        posonly, positional, kwonly = (ident(f"{name} of a stub", line[name], 0) for name in counts)
        if posonly > positional or positional + kwonly + line["varargs"] + line["varkw"] != len(names):
            refuse("a stub whose parameters do not add up")
        keywords = line.get("kwdefaults", {})
        if len(line.get("defaults", ())) > positional or not keywords.keys() <= set(
            names[positional : positional + kwonly]
        ):
            refuse("a stub with defaults of parameters that it has not")
        for value in [*line.get("defaults", ()), *keywords.values()]:
            self.named.argument(value)

    def class_(self, line: Json) -> None:
        """Check a class of the caller's."""
        optional = {"module": str, "qualname": str, "metaclass": object, "names": dict}
        self.define(line, {"name": str, "bases": list, "body": dict}, optional)
        for value in [*line["bases"], *line["body"].values(), line.get("metaclass")]:
            self.named.argument(value)
        self.named.named("the names of a class", line.get("names", {}), ARGUMENTS)

    def inst(self, line: Json) -> None:
        """Check an object of such a class."""
        self.define(line, {"class": dict, "state": dict}, {"data": object})
        self.named.argument(line["class"])
        self.named.named("the state of an object", line["state"], ARGUMENTS)
        self.named.argument(line.get("data"))

    def mock(self, line: Json) -> None:
        """Check a mock of the standard library's."""
        self.define(line, {"class": str, "state": dict}, {"children": dict})
        fields("the state of a mock", line["state"], {}, {"return_value": object, "side_effect": object})
        self.named.named("the state of a mock", line["state"], ARGUMENTS)
        self.named.named("the children of a mock", line.get("children", {}), {"$mock": ARGUMENTS["$mock"]})


def is_object(content: bytes) -> bool:
    """Say whether a content is a JSON object, as the state of a service is."""
    if not content.startswith(b"{"):
        return False
    try:
        return isinstance(json.loads(content), dict)
    except (ValueError, RecursionError):
        return False


def words(name: Name) -> str:
    """Return a content or a definition in words."""
    return f"the content {name}" if isinstance(name, str) else f"the {name[0]} {name[1]}"


DEFINITIONS: dict[str, Callable[[Checker, Json], None]] = {
    "blob": Checker.blob,
    "content": Checker.service_content,
    "stub": Checker.stub,
    "class": Checker.class_,
    "inst": Checker.inst,
    "mock": Checker.mock,
}
