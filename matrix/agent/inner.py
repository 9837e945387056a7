"""Calls from inside the subject: each distinct one is kept by itself."""

from __future__ import annotations

import types
from typing import Any, Tuple

from . import callsite, chance, probes
from .inline import MOST, is_foreign
from .ledger import Ledger
from .surroundings import Surroundings
from .underway import Token
from .values import canonical


class Inner:
    """Records calls that the subject makes of itself."""

    def __init__(self, ledger: Ledger, surroundings: Surroundings) -> None:
        """Write each when it ends."""
        self.ledger, self.surroundings, self.snapshots = ledger, surroundings, ledger.snapshots

    def begin(self, frame: types.FrameType, definition: probes.Definition, values: Tuple[Any, ...]) -> None:
        """Begin a call from inside the subject: it is kept by itself, each distinct one once."""
        outer = self.ledger.boundaries[-1] if self.ledger.boundaries else None
        inline = self.snapshots.inline
        if outer is None or len(inline.distinct.get(definition.function, ())) >= MOST:
            return
        inline.on = True
        try:
            back: Any = frame.f_back
            caller, _ = self.ledger.whose.outside(back)
            site = callsite.site_of(caller or back)
            event = self.snapshots.call(frame, definition, values, site, caller, direct=back is caller)
            given = dict(zip(definition.names, values))
            for argument in event["args"]:
                if isinstance(argument["value"], dict) and "$opaque" in argument["value"]:
                    obj = given.get(argument["name"])
                    argument["value"] = inline.foreign(obj) if is_foreign(obj) else argument["value"]
            if definition.qualname.endswith(".__init__"):
                inline.construct(frame, values[0], event["args"])
        finally:
            inline.on = False
        if "<locals>" in event["function"] or "$stub" in event["access"].get("object", ()):
            return  # a closure, maybe by the name of what it wraps: only what made it can call it
        event.update(tier="inner", within=outer.event["id"], usage="whole")
        event.pop("expect", None)
        key = canonical({name: event[name] for name in ("function", "access", "args")})
        if key in inline.distinct.setdefault(event["function"], {}):
            inline.distinct[event["function"]][key]["n"] += 1
            return
        event["n"] = 1
        inline.distinct[event["function"]][key] = event
        self.surroundings.look_around(event, outer)
        token = Token(definition, event, self.ledger.top)
        token.inner = True
        if event["kind"] == "constructor":
            token.result = values[0]
        self.ledger.begin(frame, token)
        token.chance = chance.state()

    def finish(self, token: Token, how: str, value: Any) -> None:
        """End an inner call."""
        if token.yielded:
            return
        if token.result is not None and how == "return":
            value = token.result
        event = token.event
        inline = self.snapshots.inline
        chance.note(event, token.chance, self.snapshots.store)
        event["outcome"] = self.snapshots.outcome(how, value, inner=True)
        self.ledger.calls += 1
        event["id"] = self.ledger.calls
        inline.on = False
        self.ledger.top.append(event)
        token.yielded = True
