"""Functions of the caller's that the subject calls: what each was handed, what it did in turn, and what it gave."""

from __future__ import annotations

import types
from typing import Any, List, Optional, Tuple

from . import probes
from .ledger import Ledger
from .surroundings import Surroundings
from .underway import Token


class Stubs:
    """Records calls from the subject back to its caller."""

    def __init__(self, ledger: Ledger, surroundings: Surroundings) -> None:
        """Write into the events of the calls that are under way."""
        self.ledger, self.surroundings = ledger, surroundings
        self.snapshots, self.known = ledger.snapshots, ledger.known

    def begin(
        self, frame: types.FrameType, caller: types.FrameType, definition: probes.Definition, values: Tuple[Any, ...]
    ) -> None:
        """Begin a call from the subject to a function of the caller's."""
        stub = self.snapshots.own.stub_of(frame.f_code)
        above: Optional[types.FrameType] = caller
        while above is not None:
            token = self.ledger.tokens.get(id(above))
            if token is not None and token.dropped:
                return
            if token is not None and token.script is None:
                event = {"stub": stub}
                token.event.setdefault("stubs", []).append(event)
                if not token.inner:
                    self.surroundings.holds([])
                    self.ledger.calls += 1
                    event["id"] = self.ledger.calls
                    for name, value in zip(definition.names, values):
                        self.known.hand(value, self.ledger.calls, name, self.snapshots.is_own)
                event["values"] = self.snapshots.bound(definition, values)
                if not token.inner:
                    inner = Token(definition, event, [])
                    inner.script = []
                    self.surroundings.touched.begin(inner, values)
                    self.ledger.begin(frame, inner)
                    return
            above = above.f_back

    def finish(self, token: Token, how: str, value: Any) -> None:
        """End a call of a stub."""
        self.pause(token)
        self.surroundings.touched.end(token)
        token.event["outcome"] = self.snapshots.outcome(how, value, for_replay=True)

    def yields(self, token: Token, value: Any) -> None:
        """Note what a stub that is a generator yields."""
        self.pause(token)
        token.step = self.snapshots.outcome("yield", value, for_replay=True)
        token.event.setdefault("yields", []).append(token.step)
        token.suspended = True

    def resumes(self, token: Token, value: Any) -> None:
        """Note what was sent to a stub that was suspended."""
        self.surroundings.holds([])
        self.surroundings.touched.refresh()
        self.handed(token, "sent", value)

    def pause(self, token: Token) -> None:
        """Note what a stub did since it began, or went on."""
        script: List[Any] = token.script if token.script is not None else []
        self.surroundings.touches(script)
        self.surroundings.holds(script)
        if token.script:
            token.step["events"] = token.script
            token.script = []

    def handed(self, token: Token, how: str, value: Any) -> None:
        """Note what a stub that was suspended is handed: what it does with that names it by the stub's own call."""
        if value is None:
            return
        token.step[how] = self.snapshots.argument(value)
        self.known.hand(value, token.event["id"], len(token.event["yields"]), self.snapshots.is_own)
