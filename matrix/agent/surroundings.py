"""What surrounds the calls of a program: files, the environment, patches, services, and what each call did to them."""

from __future__ import annotations

import os
from typing import Any, Dict, List

from . import world
from .ledger import Ledger
from .services import Services
from .touched import Touched
from .underway import Token
from .values import Json, canonical
from .watch import Watch


class Surroundings:
    """Looks at the world before and after each call."""

    def __init__(self, ledger: Ledger) -> None:
        """Take the world as it is."""
        config = ledger.config
        self.ledger = ledger
        self.files = world.Files(config["roots"], ledger.snapshots.store, ledger.templates)
        self.dirty = True
        self.environ = world.environment()
        self.cwd = os.getcwd()
        self.watch = Watch(ledger)
        self.touched = Touched(ledger)
        self.services = Services(config.get("control", ""))

    def changes(self, sink: List[Json]) -> None:
        """Note what the caller changed since the subject last ran."""
        changed = self.scan()
        if changed:
            sink.append({"e": "files", "changes": self.hide_names(changed)})
        variables = self.variables()
        if variables:
            sink.append({"e": "env", "changes": variables})
        if self.moved():
            sink.append({"e": "cwd", "path": self.ledger.snapshots.argument(self.cwd)})
        for event in self.watch.changes():
            sink.append(event)  # noqa: PERF402 # making an event may put others before it
        self.touches(sink)
        for name in self.services.changed():
            sink.append({"e": "service", "name": name, "state": self.state(name)})  # noqa: PERF401 # as above
        self.holds(sink)

    def variables(self) -> Dict[str, Json]:
        """Return the variables of the environment that changed since the last look."""
        before, self.environ = self.environ, world.environment()
        changed = world.difference(before, self.environ)
        return {name: self.ledger.snapshots.argument(value) for name, value in sorted(changed.items())}

    def moved(self) -> bool:
        """Say whether the working directory is another one since the last look."""
        before, self.cwd = self.cwd, os.getcwd()
        return self.cwd != before

    def touches(self, sink: List[Json]) -> None:
        """Note what functions of the caller's did to the objects that they were handed."""
        for event in self.touched.changes():
            sink.append(event)  # noqa: PERF402 # as above

    def holds(self, sink: List[Json]) -> None:
        """Note what the caller changed in the collections that keep who they are."""
        for event in self.ledger.snapshots.own.changes():
            sink.append(event)  # noqa: PERF402 # making an event may put others before it

    def scan(self) -> Dict[str, Any]:
        """Look at the disk if it may have changed; calls under way remember what changed during them."""
        if not self.dirty:
            return {}
        # A file that was opened to be written during a call may be written at any time until the call ends.
        self.dirty = bool(self.ledger.boundaries)
        before = dict(self.files.entries) if self.ledger.boundaries else {}
        changed = self.files.scan()
        for token in self.ledger.boundaries:
            for name in changed:
                token.before.setdefault(name, before.get(name))
        return changed

    def effects(self, event: Dict[str, Json], token: Token) -> None:
        """Note what a call changed."""
        effects: Dict[str, Json] = {}
        self.scan()
        changed = token.net(self.files.entries)
        token.before.clear()
        self.dirty = len(self.ledger.boundaries) > 1
        if changed:
            effects["files"] = self.hide_names(changed)
        variables = self.variables()
        if variables:
            effects["env"] = variables
        if self.moved():
            effects["cwd"] = self.ledger.snapshots.argument(self.cwd)
        self.watch.refresh()
        self.touched.refresh()
        self.holds([])  # what the subject did to them it will do again
        for name in self.services.changed():
            token.services[name] = self.state(name)
        if token.services:
            effects["services"] = dict(token.services)
        mocks = self.ledger.snapshots.own.mock_calls()
        if mocks:
            event["mocks"] = mocks
        if effects:
            event["effects"] = effects

    def look_around(self, event: Dict[str, Json], outer: Token) -> None:
        """Note what the call under way has changed in the world so far."""
        self.scan()
        changed = outer.net(self.files.entries)
        if changed:
            event["files"] = self.hide_names(changed)
        for name in self.services.changed():
            outer.services[name] = self.state(name)
        if outer.services:
            event["services"] = dict(outer.services)

    def hide_names(self, changed: Dict[str, Any]) -> Json:
        """Return file changes as JSON."""
        return {name: None if entry is None else list(entry) for name, entry in changed.items()}

    def state(self, name: str) -> str:
        """Store the state that a service is in and return its digest."""
        value = self.services.snapshot(name)
        digest: str = self.ledger.snapshots.store(canonical(value).encode("ascii"))
        return digest
