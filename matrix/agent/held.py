"""A trace, as a replay holds it: what to do in each test, and what the world was like when it began."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any, Dict, List, Set, Tuple

from .contents import content_of

BUFFER = 1 << 20  # bytes that are unpacked at a time: traces hold long lines


class Trace:
    """A trace, as a replay needs it."""

    def __init__(self, path: str) -> None:
        """Read a file that was validated before."""
        self.blobs: Dict[str, bytes] = {}
        self.definitions: Dict[Tuple[str, int], Any] = {}
        self.tests: Dict[str, List[Any]] = {"": []}
        self.calls: Dict[int, Any] = {}
        self.homes: Dict[int, str] = {}
        self.imports: Set[str] = set()
        self.scripts: Dict[int, List[Any]] = {}
        self.starts: Dict[str, Tuple[Dict[str, Any], Dict[str, str]]] = {}
        self.inner: Dict[str, Dict[int, List[Any]]] = {}
        self.settings: Dict[str, List[Any]] = {}
        files: Dict[str, Any] = {}
        states: Dict[str, str] = {}
        settings: Dict[str, Any] = {}
        test, index = "", 0
        with io.BufferedReader(gzip.open(path, "rb"), BUFFER) as file:
            self.header = json.loads(file.readline())
            for line in file:
                event = json.loads(line)
                if "def" in event:
                    self.define(event)
                    continue
                if event["e"] == "end":
                    continue
                event["n"] = index
                index += 1
                if event["e"] == "test":
                    test = event["id"]
                    self.tests.setdefault(test, [])
                    self.starts.setdefault(test, (dict(files), dict(states)))
                    self.settings.setdefault(test, list(settings.values()))
                if event.get("tier") == "inner":
                    self.calls[event["id"]] = event
                    self.inner.setdefault(test, {}).setdefault(event["within"], []).append(event)
                    continue
                self.tests[test].append(event)
                self.note(event, test)
                remember(event, files, states)
                keep(event, settings)

    def define(self, event: Any) -> None:
        """Keep a definition."""
        if event["def"] == "blob":
            self.blobs[event["id"]] = content_of(event)
        elif event["def"] != "content":
            self.definitions[event["def"], event["id"]] = event

    def note(self, event: Any, test: str) -> None:
        """Note calls, imports and what stubs answered."""
        if event["e"] == "import" and "own" not in event:
            self.imports.add(event["module"])
        if event["e"] == "copy":
            self.calls[event["id"]] = {"function": "a copy", **event}
            self.homes[event["id"]] = test
        if event["e"] == "call":
            self.calls[event["id"]] = event
            self.homes[event["id"]] = test
            for stub in event.get("stubs", []):
                self.scripts.setdefault(stub["stub"], []).append(stub)
                for part in [stub, *stub.get("yields", [])]:
                    for inner in part.get("events", []):
                        self.note(inner, test)

    def name(self, call: int) -> str:
        """Return a call's function and number."""
        return "%s (call %d)" % (self.calls[call]["function"], call) if call in self.calls else "call %d" % call

    def needed(self, test: str) -> List[int]:
        """Return the calls of other tests that a test's events refer to, with what those refer to, in order."""
        needed: Set[int] = set()
        defined: Set[Tuple[str, int]] = set()
        pending: List[Any] = list(self.tests[test])
        while pending:
            for key, number in references(pending.pop()):
                if key == "$ref" and number not in needed and self.homes.get(number, test) != test:
                    needed.add(number)
                    pending.append(self.calls[number])
                elif key != "$ref" and (key[1:], number) not in defined:
                    defined.add((key[1:], number))
                    pending.append(self.definitions.get((key[1:], number)))
        return sorted(needed)


def keep(event: Any, settings: Dict[str, Any]) -> None:
    """Keep the events that set what outlasts a test: the environment, the working directory, patches."""
    if event["e"] == "cwd":
        settings["cwd"] = event
    elif event["e"] == "env":
        for name, value in event["changes"].items():
            settings["env " + name] = {"e": "env", "changes": {name: value}}
    elif event["e"] == "patch":
        key = "patch %s %s" % (json.dumps(event["target"], sort_keys=True), event["name"])
        settings.pop(key, None)
        if not event.get("undo"):
            settings[key] = event


NUMBERED = ("$ref", "$stub", "$class", "$inst", "$mock")


def references(value: Any) -> List[Tuple[str, int]]:
    """Return the calls and definitions that a value or an event refers to; what a call gave is made by itself."""
    found: List[Tuple[str, int]] = []
    if isinstance(value, dict):
        found += [(key, value[key]) for key in NUMBERED if isinstance(value.get(key), int)]
        for key, item in value.items():
            if key != "outcome" or "e" not in value:
                found += references(item)
    elif isinstance(value, list):
        for item in value:
            found += references(item)
    return found


def remember(event: Any, files: Dict[str, Any], states: Dict[str, str]) -> None:
    """Add to the state of the world what an event did to it."""
    changes = event["changes"] if event["e"] == "files" else event.get("effects", {}).get("files", {})
    for name, entry in changes.items():
        files[name] = entry
        if entry is None:
            del files[name]
    if event["e"] == "service":
        states[event["name"]] = event["state"]
    states.update(event.get("effects", {}).get("services", {}))
