"""Plays the caller's functions back: what each was called with, did in turn, and gave, as the trace holds it."""

from __future__ import annotations

import contextlib
from typing import Any, Dict, Iterator, List

from . import making
from .finding import Stop, Unreplayable
from .values import Json, canonical

Entry = Dict[str, Any]


class Playback:
    """Answers for the stubs of one test."""

    def __init__(self, player: Any) -> None:
        """Make one for a replayer: ``player.run(event)`` plays what a stub does in turn."""
        self.player = player
        self.scripts: List[Dict[str, List[Entry]]] = []
        self.played: List[int] = []

    @contextlib.contextmanager
    def during(self, event: Dict[str, Any]) -> Iterator[List[int]]:
        """Let stubs answer as they did during a call; gives the list of those that are asked."""
        outer, self.played = self.played, []
        self.scripts.append({"left": list(event.get("stubs", []))})
        try:
            yield self.played
        finally:
            self.scripts.pop()
            self.played = outer

    def play(self, stub: int, values: Dict[str, Any]) -> Any:
        """Answer a call of a stub by the recording, or raise Unreplayable; a generator's answer is an iterator."""
        self.played.append(stub)
        entry = self.entry(stub, values)
        handed: Dict[Any, Any] = dict(values)
        if "id" in entry:
            self.player.results.hold(entry["id"], handed)
        if self.player.definitions["stub", stub]["kind"] in ("generator", "asyncgen"):
            return self.steps(entry, handed)
        self.did(entry)
        return self.end(entry)

    def did(self, part: Entry) -> None:
        """Do what a stub did."""
        for event in part.get("events", ()):
            self.player.run(event)

    def end(self, entry: Entry) -> Any:
        """Return what a stub returned, or raise what it raised."""
        outcome = entry.get("outcome", {})
        if "raise" in outcome:
            raise making.exception_of(outcome["raise"], self.player.decoder)
        return self.player.decode(outcome.get("return"))

    def steps(self, entry: Entry, handed: Dict[Any, Any]) -> Any:
        """Yield what a stub yielded, and hold what it is handed in between by how often it had yielded."""
        self.did(entry)
        yields = entry.get("yields", ())
        for number, step in enumerate(yields, 1):
            last = number == len(yields)
            try:
                sent = yield self.player.decode(step["yield"])
            except GeneratorExit:
                if last and "closed" in entry.get("outcome", {}):
                    self.did(step)
                raise
            except Stop:
                raise
            except BaseException as error:
                handed[number] = error
                self.same("thrown" in step and self.is_thrown(step["thrown"], error), entry)
            else:
                handed[number] = sent
                self.same("thrown" not in step and self.is_alike(step.get("sent"), sent), entry)
            self.same(not last or ("outcome" in entry and "closed" not in entry["outcome"]), entry)
            self.did(step)
        return self.end(entry)

    def same(self, held: bool, entry: Entry) -> None:
        """Raise Unreplayable where a generator is resumed in a way that the recording does not hold."""
        if not held:
            name = self.player.definitions["stub", entry["stub"]]["name"]
            raise Unreplayable("%s was resumed in a way that the recording does not hold" % name)

    def is_thrown(self, recorded: Json, error: BaseException) -> bool:
        """Say whether an exception is of the type that was thrown in when this was recorded."""
        try:
            return type(self.player.decode(recorded)) is type(error)
        except Stop:
            return True

    def entry(self, stub: int, values: Dict[str, Any]) -> Entry:
        """Return the recorded call of a stub that fits."""
        definition = self.player.definitions["stub", stub]
        left = self.scripts[-1]["left"] if self.scripts else []
        for index, entry in enumerate(left):
            if entry["stub"] == stub and (definition["constant"] or self.fits(entry, values)):
                return left.pop(index)
        recorded: List[Entry] = self.player.trace.scripts.get(stub, [])
        for entry in recorded:
            if definition["constant"] or self.fits(entry, values):
                return entry
        raise Unreplayable("%s was asked for something that the recording does not hold" % definition["name"])

    def fits(self, entry: Entry, values: Dict[str, Any]) -> bool:
        """Say whether a stub is asked what it was asked in a recorded call."""
        return all(
            self.is_alike(value, values.get(name))
            for name, value in entry["values"].items()
            if name not in ("self", "cls")
        )

    def is_alike(self, recorded: Json, value: Any) -> bool:
        """Say whether an object looks like a recorded one; what cannot be made again is like any."""
        look = self.player.outcomes.look
        try:
            return canonical(look(self.player.decode(recorded))) == canonical(look(value))
        except Stop:
            return True
