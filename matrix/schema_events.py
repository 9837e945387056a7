"""Checks the events of a trace, one line each (docs/trace-format.md, "Events"), and notes what they refer to."""

import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from matrix.agent import chance
from matrix.agent.checks import CLOCKS
from matrix.agent.copying import COPIES
from matrix.schema_trees import Trees
from matrix.schema_values import (
    ARGUMENTS,
    LAST_LINE,
    LOOKS,
    SYMBOL,
    Json,
    Kinds,
    digest,
    fields,
    ident,
    name_of,
    one_of,
    refuse,
    shown,
)

LONGEST_PATH = 4096
ROOTS = ("{work}", "{home}", "{tmp}")
MODULE = re.compile(r"[^\W\d]\w*(?:\.\w+)*")
VARIABLE = re.compile(r"[^=\0]+")
KINDS = (
    "constructor",
    "function",
    "method",
    "classmethod",
    "staticmethod",
    "property",
    "generator",
    "coroutine",
    "asyncgen",
)
TIERS = ("boundary", "inner")
USAGES = ("none", "checked", "whole")
OUTCOME: dict[str, Any] = {"return": object, "yield": object, "raise": dict, "closed": bool}
EFFECTS: dict[str, Any] = {"files": dict, "env": dict, "cwd": object, "services": dict, "args": dict}
FILE, LINK = len(("file", "digest", "executable")), len(("link", "target"))
# What the subject must be reached by: nothing else may be called.
RECEIVERS = {"$ref", "$inst", "$class", "$symbol", "$make", "$new", "$bound", "$opaque"}


@dataclass(slots=True)
class Line(Trees):
    """Checks one event; collects the calls in it as (number, in the script of a stub) besides what it names."""

    made: list[tuple[int, bool]] = field(default_factory=list)
    states: set[str] = field(default_factory=set)
    taken: set[int] = field(default_factory=set)  # readings of the clock
    nested: bool = False
    lost: bool = False

    def event(self, line: Json, kinds: Mapping[str, "EventCheck"]) -> None:
        """Check an event of one of some kinds."""
        kind = line.get("e") if isinstance(line, dict) else None
        check = kinds.get(kind) if isinstance(kind, str) else None
        if check is None:
            refuse(f"the event {shown(kind)} is not known here")
        check(self, line)

    def test(self, line: Json) -> None:
        """Check the beginning of a test."""
        fields("a test", line, {"e": str, "id": str})

    def import_(self, line: Json) -> None:
        """Check an import at the top of a file."""
        flags = dict.fromkeys(("optional", "subject"), bool)
        fields(
            "an import",
            line,
            {"e": str, "file": str, "module": str, "names": list, **flags},
            {"used": list, "own": str},
        )
        name_of("a module", line["module"], MODULE)
        for name in line["names"]:
            if name != "*":
                name_of("an imported name", name)
        if not {*line.get("used", ())} <= {*(line["names"] or [line["module"]])}:
            refuse("an import that uses what it does not import")
        if "own" in line and (line["subject"] or line["names"]):
            refuse("an import of the suite's own is none of the subject, and has no names")

    def trouble(self, line: Json) -> None:
        """Check an error of the recorder's: what it lost may be named from now on without being there."""
        fields("a trouble", line, {"e": str, "what": str, "where": str})
        self.lost = True

    def end(self, line: Json) -> None:
        """Check the footer."""
        fields("an end", line, {"e": str, "counts": dict, "tests": dict})
        for counts in line["counts"].values():
            if not isinstance(counts, list) or len(counts) != len(("all", "boundary")):
                refuse("counts must be [all, boundary]")
            for count in counts:
                ident("a count", count, 0)
        if not all(isinstance(outcome, str) for outcome in line["tests"].values()):
            refuse("the outcome of a test must be a text")

    def call(self, line: Json) -> None:
        """Check a call."""
        fields("a call", line, CALL, CALL_OPTIONS)
        number = ident("the number of a call", line["id"])
        self.access(line["access"])
        self.arguments(line["args"], 0)
        if any(call >= number for call in self.calls):
            refuse(f"the call {number} refers to a call that does not come before it")
        for name, words in (("tier", TIERS), ("kind", KINDS), ("usage", USAGES), ("via", ("context",))):
            if name in line:
                one_of(f"the {name} of a call", line[name], words)
        if not {*line.get("watched", ())} <= {argument["name"] for argument in line["args"]}:
            refuse("a call that watches what is no argument of it")
        for expected in line.get("expect", ()):
            self.expected(expected)
        if ("within" in line) != (line["tier"] == "inner"):
            refuse("an inner call, and no other, must say within which call it was made")
        self.called_from(line)
        for entry in line.get("stubs", ()):
            self.answer(entry)
        self.outcome(line["outcome"], LOOKS)
        self.random(line)
        self.surroundings(line)
        self.file_changes(line.get("files", {}))
        self.service_states(line.get("services", {}))
        self.made.append((number, self.nested))

    def random(self, line: Json) -> None:
        """Check the state of the random numbers that a call drew."""
        if "random" in line:
            fields("a state of random numbers", line["random"], {"words": str, "at": int}, {"aside": float})
            self.contents.add(digest("the words of random numbers", line["random"]["words"]))
            if not 0 <= line["random"]["at"] <= chance.WORDS:
                refuse("a state of random numbers that is at none of its words")

    def called_from(self, line: Json) -> None:
        """Check what a call's caller awaits, and where it is."""
        for awaited in line.get("awaits", ()):
            self.expected({name: value for name, value in awaited.items() if name != "all"})
        for one in line.get("warned", ()):
            fields("a warning", one, {"type": str, "file": object, "met": list})
            self.text("the file of a warning", one["file"])
        if "caller" in line:
            fields("the caller of a call", line["caller"], {"module": str, "file": object, "line": int})
            self.text("the file of a caller", line["caller"]["file"])
            if ident("the line of a caller", line["caller"]["line"], 0) > LAST_LINE:
                refuse("a caller in a line that no file has")

    def access(self, access: Json) -> None:
        """Check how the subject was reached: through one of its modules, or on an object."""
        optional = {
            "path": str,
            "object": dict,
            "opaque": str,
            "receiver": object,
            "name": str,
            "part": str,
            "class": object,
        }
        fields("the access of a call", access, {}, optional)
        ways = [way for way in ("path", "object", "opaque", "receiver") if way in access] or ["class"]
        if len(ways) > 1 or (ways[0] == "receiver") != ("name" in access) or ways[0] not in access:
            refuse("the access of a call must be one of path, object, opaque, class, or receiver and name")
        if "path" in access:
            self.subjects("the access of a call", access["path"])
        if "part" in access:
            one_of("a part of a property", access["part"], ("fset", "fdel"))
        for way in ("object", "receiver"):
            if way in access:
                self.reached(access[way])
        if ways[0] == "receiver" and access.get("class") is not None:
            if isinstance(access["class"], str):
                self.subjects("the class of a receiver", access["class"])
            else:
                self.reached(access["class"])
        elif "class" in access and ways[0] == "class":
            self.reached(access["class"])

    def reached(self, value: Json) -> None:
        """Check an object on which the subject was reached: nothing of others is ever called."""
        kind = next(iter(value), "") if isinstance(value, dict) else ""
        if kind not in RECEIVERS:
            refuse("a call on what is not the subject's")
        if kind == "$symbol":
            self.subjects("what a call is made on", value["$symbol"])
        if kind == "$bound":
            self.reached(value.get("on"))
        self.argument(value)

    def expected(self, expected: Json) -> None:
        """Check what the caller was ready to catch."""
        fields("an expectation", expected, {"types": list}, {"match": (str, type(None))})
        for symbol in expected["types"]:
            if symbol is not None:
                name_of("an expected type", symbol, SYMBOL)
        try:
            re.compile(expected.get("match") or "")
        except (re.error, RecursionError, OverflowError):
            refuse(f"an expectation with a broken pattern: {shown(expected['match'])}")

    def answer(self, entry: Json) -> None:
        """Check how a stub was called during a call, and what it did."""
        required = {"stub": int, "values": dict}
        fields("a call of a stub", entry, required, {"id": int, "events": list, "outcome": dict, "yields": list})
        if ident("the number of a stub", entry["stub"], 0):  # 0 is a function that no value holds
            self.definitions.add(("stub", entry["stub"]))
        if "id" in entry:
            self.made.append((ident("the number of a call of a stub", entry["id"]), True))
        # What its parts may name is no matter of what the call that it is in may.
        seen, self.calls = self.calls, set()
        self.named("the arguments of a stub", entry["values"], ARGUMENTS)
        self.scripted(entry)
        for step in entry.get("yields", ()):
            fields("a step of a stub", step, {"yield": object}, {"sent": object, "thrown": object, "events": list})
            for part in step.keys() - {"events"}:
                self.argument(step[part])
            self.scripted(step)
        if "outcome" in entry:
            self.outcome(entry["outcome"], ARGUMENTS)
        self.calls |= seen

    def scripted(self, part: Json) -> None:
        """Check what a stub did in turn."""
        outer, self.nested = self.nested, True
        for event in part.get("events", ()):
            seen, self.calls = self.calls, set()
            self.event(event, NESTED)
            self.calls |= seen
        self.nested = outer

    def outcome(self, outcome: Json, kinds: Kinds) -> None:
        """Check what a call gave."""
        fields("an outcome", outcome, {}, OUTCOME)
        if len(outcome) != 1 or outcome.get("closed") is False:
            refuse("an outcome must be one of return, yield, raise, closed")
        if "raise" in outcome:
            self.raised(outcome["raise"], kinds)
        elif "closed" not in outcome:
            self.value(next(iter(outcome.values())), 0, kinds)

    def surroundings(self, line: Json) -> None:
        """Check what a call did around it."""
        effects = line.get("effects")
        if effects is not None:
            fields("effects", effects, {}, EFFECTS)
            self.file_changes(effects.get("files", {}))
            self.variables(effects.get("env", {}))
            self.text("a working directory", effects.get("cwd", ""))
            self.service_states(effects.get("services", {}))
            self.named("changed arguments", effects.get("args", {}), LOOKS)
        for called in line.get("mocks", ()):
            fields("a call of a mock", called, {"mock": int, "name": str, "args": list, "kwargs": dict})
            self.definitions.add(("mock", ident("the number of a mock", called["mock"])))
            self.look(called["args"])
            self.look(called["kwargs"])

    def next(self, line: Json) -> None:
        """Check what a generator gave when it was resumed."""
        optional = {"sent": object, "thrown": object, "effects": dict, "mocks": list, "stubs": list, "random": dict}
        fields("a next", line, {"e": str, "call": int, "outcome": dict}, optional)
        self.calls.add(ident("the call of a next", line["call"]))
        self.argument(line.get("sent"))
        self.argument(line.get("thrown"))
        for entry in line.get("stubs", ()):
            self.answer(entry)
        self.outcome(line["outcome"], LOOKS)
        self.random(line)
        self.surroundings(line)

    def read(self, line: Json) -> None:
        """Check a read of an attribute of the subject's modules."""
        fields("a read", line, {"e": str, "path": str})
        self.subjects("a read", line["path"])

    def clock(self, line: Json) -> None:
        """Check a reading of the clock."""
        fields("a clock", line, {"e": str, "id": int, "of": str})
        one_of("the clock", line["of"], CLOCKS)
        self.taken.add(ident("a clock", line["id"]))

    def copy(self, line: Json) -> None:
        """Check a copy: of what a call gave, and of nothing else; what is unpickled was pickled by an event before."""
        fields("a copy", line, {"e": str, "id": int, "how": str, "of": dict}, {"protocol": int})
        one_of("how a copy is made", line["how"], COPIES)
        if "protocol" in line and line["how"] != "pickle":
            refuse("a copy with a protocol that is no pickle")
        number = ident("the number of a copy", line["id"])
        if "$ref" not in line["of"]:
            refuse("a copy of what no call gave")
        self.argument(line["of"])
        if line["of"]["$ref"] >= number:
            refuse(f"the copy {number} is of what comes later")
        self.made.append((number, self.nested))

    def files(self, line: Json) -> None:
        """Check changes of files."""
        fields("files", line, {"e": str, "changes": dict})
        self.file_changes(line["changes"])

    def file_changes(self, changes: Json) -> None:
        """Check that no path leaves the working folders, and that contents are there."""
        for name, entry in changes.items():
            inside(name)
            if entry is None or entry == ["dir"]:
                continue
            kind = entry[0] if isinstance(entry, list) and entry else ""
            if kind in ("file", "text") and len(entry) == FILE and isinstance(entry[2], bool):
                self.contents.add(digest("the content of a file", entry[1]))
            elif kind == "link" and len(entry) == LINK and isinstance(entry[1], str):
                linked(name, entry[1])
            else:
                refuse(f"a file that is none: {shown(entry)}")

    def env(self, line: Json) -> None:
        """Check changes of environment variables."""
        fields("env", line, {"e": str, "changes": dict})
        self.variables(line["changes"])

    def variables(self, changes: Json) -> None:
        """Check variables and their values."""
        for name, value in changes.items():
            name_of("a variable", name, VARIABLE)
            if value is not None:
                self.text(f"the variable {name}", value)

    def cwd(self, line: Json) -> None:
        """Check a change of the working directory."""
        fields("cwd", line, {"e": str, "path": object})
        self.text("a working directory", line["path"])

    def patch(self, line: Json) -> None:
        """Check a changed attribute."""
        flags = {"undo": bool, "deleted": bool, "strict": bool}
        fields("a patch", line, {"e": str, "target": dict, "name": str}, {"value": object, **flags})
        if sum((line.get("undo") is True, line.get("deleted") is True, "value" in line)) != 1 or any(
            line.get(flag) is False for flag in flags
        ):
            refuse("a patch must have one of value, deleted and undo")
        if "strict" in line and "undo" in line:
            refuse("what undoes a patch is not strict")
        self.argument(line["target"])
        self.argument(line.get("value"))

    def hold(self, line: Json) -> None:
        """Check what the caller changed in an object of its own."""
        fields("a hold", line, {"e": str, "inst": int}, {"added": list, "data": object, "state": dict, "gone": list})
        self.definitions.add(("inst", ident("the number of an object", line["inst"])))
        if sum(part in line for part in ("added", "data", "state")) != 1 or not all(
            isinstance(name, str) for name in line.get("gone", ())
        ):
            refuse("a hold must have one of added, data and state")
        self.argument(line.get("added", line.get("data")))
        self.named("the state of an object", line.get("state", {}), ARGUMENTS)

    def service(self, line: Json) -> None:
        """Check a changed state of a service."""
        fields("a service", line, {"e": str, "name": str, "state": str})
        self.state(line["state"])

    def service_states(self, states: Json) -> None:
        """Check states of services, by name."""
        for state in states.values():
            self.state(state)

    def state(self, name: Json) -> None:
        """Note the content that is a service's state."""
        self.states.add(digest("the state of a service", name))


def inside(name: str) -> str:
    """Return the part of a file's name below its folder; it may not leave that."""
    root, _, relative = name.partition("/")
    parts = relative.split("/")
    if root not in ROOTS or "\0" in name or len(name) > LONGEST_PATH or any(part in ("", ".", "..") for part in parts):
        refuse(f"a file outside of the working folders: {shown(name)}")
    return relative


def linked(name: str, target: str) -> None:
    """Check that a link leads to something in its own folder."""
    end = posixpath.normpath(posixpath.join(posixpath.dirname(inside(name)), target))
    if not target or target.startswith("/") or "\0" in target or end.split("/")[0] == "..":
        refuse(f"a link that leaves its folder: {shown(name)} to {shown(target)}")


EventCheck = Callable[[Line, Json], None]

# What may happen while a function of the caller's runs, and so in the script of a stub.
NESTED: dict[str, EventCheck] = {
    "call": Line.call,
    "next": Line.next,
    "read": Line.read,
    "check": Line.compared,
    "clock": Line.clock,
    "copy": Line.copy,
    "files": Line.files,
    "env": Line.env,
    "cwd": Line.cwd,
    "patch": Line.patch,
    "hold": Line.hold,
    "service": Line.service,
}
EVENTS: dict[str, EventCheck] = {
    **NESTED,
    "test": Line.test,
    "import": Line.import_,
    "trouble": Line.trouble,
    "end": Line.end,
}
CALL: dict[str, Any] = {
    **dict.fromkeys(("e", "tier", "function", "module", "qualname", "kind", "usage"), str),
    "id": int,
    "access": dict,
    "args": list,
    "outcome": dict,
}
CALL_OPTIONS: dict[str, Any] = {
    "via": str,
    "caller": dict,
    "loads": str,
    "awaits": list,
    "warned": list,
    "expect": list,
    "stubs": list,
    "watched": list,
    "effects": dict,
    "mocks": list,
    "random": dict,
    # Of inner calls only: the call that it was made in, how often it was, and the world that it was made in.
    "within": int,
    "n": int,
    "files": dict,
    "services": dict,
}
