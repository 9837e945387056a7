"""Calls of the subject from outside of it."""

from __future__ import annotations

import ast
import types
from typing import Any, Dict, List, Optional, Tuple

from . import callsite, chance, expectations, forms, probes, reads
from .definitions import Definitions
from .ledger import Ledger
from .snapshot import OUT_OF_SIGHT
from .surroundings import Surroundings
from .underway import Token
from .values import Json, canonical
from .whose import LIBRARY, SUITE

SMALL = (bool, int, float, str, type(None), bytes, tuple)
RUNNERS = {"pytest_pyfunc_call", "_callTestMethod", "_callSetUp"}  # functions of test runners that call a test
CHANGEABLE = (list, dict, set, bytearray)
SWEEP = 200  # calls after which results that nothing refers to are let go


class Boundary:
    """Records what the suite calls."""

    def __init__(self, ledger: Ledger, definitions: Definitions, surroundings: Surroundings) -> None:
        """Write each call when it ends, behind what its caller changed before it."""
        self.ledger, self.definitions, self.surroundings = ledger, definitions, surroundings
        self.snapshots, self.known = ledger.snapshots, ledger.known
        self.loops = int(ledger.config.get("loops") or 0)

    def begin(
        self,
        frame: types.FrameType,
        definition: probes.Definition,
        values: Tuple[Any, ...],
        caller: Optional[types.FrameType],
        kind: int,
    ) -> None:
        """Begin a call from ``caller``, whose frame is of this kind: the suite's, or none where a library called."""
        self.definitions.boundary[definition.ident] += 1
        if kind == LIBRARY and not self.ledger.config["script"]:
            return  # the test runner's own use of the subject is not what the tests do
        outer = caller or frame.f_back
        self.ledger.switch()
        if caller is not None and self.is_enough(caller):
            self.drop(frame, caller, definition)
            return
        sink = self.ledger.sink_now = self.ledger.sink(caller)
        self.surroundings.changes(sink)
        site = callsite.site_of(outer) if outer is not None else callsite.Site(callsite.source_of(""), None)
        if caller is not None:
            self.ledger.read(sink, self.reads(site, caller))
        event = self.snapshots.call(frame, definition, values, site, outer, direct=frame.f_back is outer)
        if (frame.f_back is not caller or self.is_through_library(site, event, caller)) and out_of_sight(event):
            # What a library does with what is inside the subject's own objects.
            self.definitions.boundary[definition.ident] -= 1
            return
        self.ledger.calls += 1
        if not self.ledger.calls % SWEEP:
            self.known.forget_gone()
        event["id"] = self.ledger.calls
        self.ledger.made.append(self.ledger.calls)
        if self.ledger.config.get("sites"):
            event["site"] = site.name
        if not self.ledger.test:
            self.loading(event, outer)
        if site.awaits and outer is not None:
            event["awaits"] = expectations.awaited(site, outer)
        token = Token(definition, event, sink)
        self.watch_arguments(token, values, site, outer)
        if event["kind"] == "constructor" and not definition.qualname.endswith(".__new__"):
            token.result = values[0]
        self.ledger.begin(frame, token)
        self.ledger.boundaries.append(token)
        if self.ledger.inner and definition.qualname.endswith(".__init__"):
            self.snapshots.inline.on = True
            try:
                made = self.snapshots.call(frame, definition, values, site, outer, direct=frame.f_back is outer)
                self.snapshots.inline.construct(frame, values[0], made["args"])
            finally:
                self.snapshots.inline.on = False
        if site.node is not None and outer is not None and direct_call(site, event, outer):
            self.ledger.last_calls[id(outer), site.node] = self.ledger.calls
        token.chance = chance.state()

    def is_first_half(self, event: Dict[str, Json], value: Any) -> bool:
        """Say whether a class was called, and its ``__init__`` follows with the same arguments: that is the call."""
        if event.get("kind") != "constructor" or not event["qualname"].endswith(".__new__"):
            return False
        follows = type(value).__init__
        return isinstance(follows, types.FunctionType) and self.snapshots.is_subjects(follows)

    def is_through_library(self, site: callsite.Site, event: Dict[str, Json], caller: Any) -> bool:
        """Say whether what the caller spelled is a call of another library's, which called the subject in turn."""
        if not isinstance(site.node, ast.Call) or site.chain is None or direct_call(site, event, caller):
            return False
        target = forms.resolve(site.chain, caller)
        home = getattr(target, "__module__", None)
        return isinstance(home, str) and home != "builtins" and self.snapshots.home(target) == LIBRARY

    def is_enough(self, caller: types.FrameType) -> bool:
        """Say whether a test has made a call at this place, on the way that it came there, as often as is kept."""
        if not self.loops:
            return False
        way: List[int] = []
        frame: Optional[types.FrameType] = caller
        while frame is not None:
            token = self.ledger.tokens.get(id(frame))
            if token is not None and token.dropped:
                return True
            code = frame.f_code
            if code.co_name in RUNNERS:
                break
            way += (id(code), frame.f_lasti)
            frame = frame.f_back
        times = self.ledger.times[tuple(way)] = self.ledger.times.get(tuple(way), 0) + 1
        return times > self.loops

    def drop(self, frame: types.FrameType, caller: types.FrameType, definition: probes.Definition) -> None:
        """Leave out a call, and what is called in it."""
        self.ledger.last_calls.pop((id(caller), callsite.site_of(caller).node), None)
        token = Token(definition, {}, [])
        token.dropped = True
        self.ledger.begin(frame, token)

    def watch_arguments(
        self, token: Token, values: Tuple[Any, ...], site: callsite.Site, outer: Optional[types.FrameType]
    ) -> None:
        """Remember the arguments that the call may change and that the caller reads again."""
        definition = token.definition
        for name, value in zip(definition.names, values):
            if type(value) not in CHANGEABLE or name in (definition.vararg, definition.kwarg) or outer is None:
                continue
            held = outer.f_locals
            if any(held.get(local) is value for local in site.read_later()):
                token.changeable[name] = (value, canonical(self.snapshots.state(value)))
                token.event.setdefault("watched", []).append(name)

    def loading(self, event: Dict[str, Json], frame: Optional[types.FrameType]) -> None:
        """Note which file of the suite is executed, outside of all tests: it does not load if the call fails."""
        while frame is not None:
            if frame.f_code.co_name == "<module>" and self.ledger.kinds.get(frame.f_code.co_filename) == SUITE:
                event["loads"] = self.ledger.whose.place(frame.f_code.co_filename)
                return
            frame = frame.f_back

    def warned(self, message: Any) -> None:
        """Note a warning that is shown while a call is under way whose caller awaits some."""
        for token in self.ledger.boundaries[-1:]:
            if "awaits" in token.event:
                event = token.event
                made = expectations.warning(message, event["awaits"], self.snapshots.state)
                event.setdefault("warned", []).append(made)

    def reads(self, site: callsite.Site, caller: types.FrameType) -> List[Json]:
        """Return the reads of the subject's modules that the call's arguments make."""
        return [] if site.node is None else reads.reads_of(site.source, site.node, caller, self.ledger.modules)

    def finish(self, token: Token, how: str, value: Any) -> None:
        """End a call, or a step of a generator: what it gave and what it did to its surroundings."""
        ident = token.event["id"]
        if token.yielded:
            event: Dict[str, Json] = {"e": "next", "call": ident}
            if token.suspended and how != "closed":
                event["thrown"] = {"$opaque": "an exception that nothing in the generator names"}
            event.update({name: token.event.pop(name) for name in ("sent", "thrown") if name in token.event})
        else:
            event = token.event
        if token.result is not None and how == "return":
            value = token.result
            self.known.forget_handed(value, ident)
        if how == "return" and self.is_first_half(event, value):
            self.ledger.boundaries.remove(token)
            self.ledger.made.remove(ident)
            return
        chance.note(event, token.chance, self.snapshots.store)
        try:
            known_by = ident if how == "yield" or not token.yielded else None
            event["outcome"] = self.snapshots.outcome(how, value, ident=known_by, item=token.items)
            self.surroundings.effects(event, token)
        finally:
            if token in self.ledger.boundaries:
                self.ledger.boundaries.remove(token)
        if how == "return" and type(value) in SMALL:
            self.ledger.small[ident] = value
        changed = self.mutated(token)
        if changed:
            event.setdefault("effects", {})["args"] = changed
        token.sink.append(event)

    def resumes(self, token: Token, value: Any) -> None:
        """Note what was sent to a generator, and what the caller changed since it yielded."""
        self.surroundings.changes(token.sink)
        if value is not None:
            token.event["sent"] = self.snapshots.argument(value)
        token.chance = chance.state()

    def mutated(self, token: Token) -> Dict[str, Json]:
        """Return the arguments that are not as they were, with what they are now."""
        changed: Dict[str, Json] = {}
        for name, (value, before) in token.changeable.items():
            now = self.snapshots.state(value)
            if canonical(now) != before:
                token.changeable[name] = (value, canonical(now))
                changed[name] = now
        return changed


def out_of_sight(event: Dict[str, Json]) -> bool:
    """Say whether a call is on or with an object of the subject's that its caller never held."""
    return OUT_OF_SIGHT in canonical([event["access"], event["args"]])


def direct_call(site: callsite.Site, event: Dict[str, Json], caller: types.FrameType) -> bool:
    """Say whether a call is what its caller spelled, not one made by what was spelled: ``list(generator())``."""
    access, name = event["access"], site.name
    spelled = str(access.get("name") or access.get("path", "")).rpartition(":")[2].rpartition(".")[2]
    target = forms.resolve(site.chain, caller) if site.chain is not None else None
    if event["kind"] == "constructor":
        return target is None or isinstance(target, type)  # not ``copy.copy(…)``, which constructs as well
    if spelled == "__call__":  # an object that was called, unless a function was that called it
        return not isinstance(target, (type, types.FunctionType, types.BuiltinFunctionType))
    return "object" in access or spelled == name
