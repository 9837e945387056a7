"""What a call gave and did here, as data that can be compared with the recording."""

from __future__ import annotations

import re
import sys
from typing import Any, Dict, Optional

from . import snapshot, world
from .finding import Stop, first_line
from .results import Result
from .values import Encoder, Json


class Outcomes:
    """Looks at what the calls of one test give and do."""

    def __init__(self, player: Any) -> None:
        """Make one for a replayer."""
        self.player = player

    def look(self, obj: Any) -> Json:
        """Return what an object looks like, for comparison with the recording."""
        return Encoder(self.player.templates, self.looks, {}).encode(obj)

    def looks(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return the looks of an object that is no plain data."""
        held = self.player.makers.identities.get(id(obj))
        if held is not None and (next(iter(held))[1:], next(iter(held.values()))) in self.player.makers.made:
            return held
        return snapshot.look(encoder, obj, depth, self.is_subjects)

    def is_subjects(self, kind: Any) -> bool:
        """Say whether a class is the subject's."""
        name = getattr(kind, "__module__", None)
        return isinstance(name, str) and name.split(".")[0] in self.player.modules

    def note(
        self,
        event: Dict[str, Any],
        result: Result,
        made: Dict[str, Json],
        before: Dict[str, str],
        mocks: Dict[int, int],
    ) -> None:
        """Note the outcome and what the call did."""
        recorded = event["outcome"]
        how = "yield" if "yield" in recorded and result.iterator is not None else "return"
        if result.error is not None:
            made["outcome"] = {"raise": self.described(result.error, event)}
        elif "closed" in recorded:
            made["outcome"] = {"closed": True}
        else:
            made["outcome"] = {how: self.outcome(result.value, recorded.get(how))}
        self.effects(made, before)
        called = [
            {"mock": number, "name": c[0], "args": self.look(list(c[1])), "kwargs": self.look(dict(c[2]))}
            for number, count in mocks.items()
            for c in self.player.makers.made["mock", number].mock_calls[count:]
        ]
        if called:
            made["mocks"] = called

    def outcome(self, value: Any, recorded: Json) -> Json:
        """Return a result's looks; where the recording has a reference to an earlier result, whether it is that."""
        if isinstance(recorded, dict) and "$ref" in recorded:
            try:
                if self.player.results.of(recorded["$ref"], recorded.get("path", [])) is value:
                    return recorded
            except Stop:
                pass
        return self.look(value)

    def effects(self, made: Dict[str, Json], before: Dict[str, str]) -> None:
        """Note what changed around a call."""
        changed = self.player.files.scan() if self.player.files.dirty else {}
        effects: Dict[str, Json] = {}
        if changed:
            effects["files"] = {name: None if entry is None else list(entry) for name, entry in changed.items()}
        env = world.difference(before, world.environment())
        if env:
            effects["env"] = {name: self.look(value) for name, value in sorted(env.items())}
        if effects:
            made["effects"] = effects

    def described(self, error: BaseException, event: Dict[str, Any]) -> Json:
        """Return an exception as data, and whether the caller was ready for it."""
        made = snapshot.describe(error, self.look)
        if "str" not in made:
            made["shown"] = first_line(error)
        expected = [self.is_expected(entry, error, made) for entry in event.get("expect", [])]
        if any(expected):
            made["expected"] = True
        return made

    def is_expected(self, entry: Json, error: BaseException, made: Json) -> bool:
        """Say whether an exception is one that the caller was ready to catch."""
        names = {made["type"], *made["mro"]}
        kinds = entry["types"]
        if kinds and not any(kind in names or self.is_kind(kind or "", error) for kind in kinds):
            return False
        return entry.get("match") is None or re.search(entry["match"], str(error)) is not None

    def is_kind(self, symbol: str, error: BaseException) -> bool:
        """Say whether an exception is of the class that ``module:name`` means here."""
        module, _, name = symbol.partition(":")
        found = sys.modules.get(module)
        kind = getattr(found, name, None) if found is not None else None
        return isinstance(kind, type) and isinstance(error, kind)

    def mock_counts(self) -> Dict[int, int]:
        """Return how often each mock was called by now."""
        return {key[1]: len(made.mock_calls) for key, made in self.player.makers.made.items() if key[0] == "mock"}
