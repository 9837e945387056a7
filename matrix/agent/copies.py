"""Copies that the caller makes of what calls gave: with ``copy``, or by pickling and back."""

from __future__ import annotations

import ast
import contextlib
import types
from typing import Any, Dict, Optional, Tuple

from . import callsite, forms
from .boundary import Boundary
from .copying import COPIES
from .ledger import Ledger
from .surroundings import Surroundings
from .values import Json

Key = Tuple[int, callsite.Position]


class Copies:
    """Records copies: what they are of before they are made, and what they are afterwards."""

    def __init__(self, ledger: Ledger, surroundings: Surroundings, boundary: Boundary) -> None:
        """Write each copy when it is there, behind what its caller changed before it."""
        self.ledger, self.surroundings, self.boundary = ledger, surroundings, boundary
        self.begun: Dict[Key, Tuple[Dict[str, Json], int]] = {}  # with the number of calls before

    def begin(self, frame: types.FrameType, position: callsite.Position, name: str, value: Any) -> None:
        """Note what the function that ``name`` spells is about to copy."""
        self.begun.pop((id(frame), position), None)  # one that came to nothing
        how = how_of(forms.resolve(tuple(name.split(".")), frame))
        if how is None:
            return
        self.ledger.switch()
        if self.boundary.is_enough(frame):
            return
        sink = self.ledger.sink_now = self.ledger.sink(frame)
        self.surroundings.changes(sink)
        if how == "unpickle":
            held, made = self.ledger.pickles.get(id(value), (None, 0))
            of = {"$ref": made} if held is value else None
        else:
            of = self.ledger.snapshots.argument(value)
        if isinstance(of, dict) and "$ref" in of:
            self.begun[id(frame), position] = ({"e": "copy", "how": how, "of": of}, self.ledger.calls)

    def end(self, frame: types.FrameType, position: callsite.Position, value: Any) -> None:
        """Note what was made, by whichever calls of the subject: it may be made without, elsewhere."""
        event, before = self.begun.pop((id(frame), position), ({}, 0))
        if not event:
            return
        pickled, known = event["how"] == "pickle", self.ledger.known
        entry = known.get(value)
        if not pickled and (not self.ledger.snapshots.is_subjects(type(value)) or (entry and entry.call <= before)):
            return  # nothing of the subject's, or no copy
        node: Any = callsite.source_of(frame.f_code.co_filename).find(position)
        if pickled and len(getattr(node, "args", ())) > 1:
            protocol = protocol_of(node.args[1], frame)
            if type(protocol) is not int:
                return
            event["protocol"] = protocol
        self.ledger.calls += 1
        event["id"] = ident = self.ledger.calls
        if pickled:
            self.ledger.pickles[id(value)] = (value, ident)
        else:
            known.entries.pop(id(value), None)
            known.add(value, ident, None, [])
            self.ledger.last_calls[id(frame), node] = ident
        self.ledger.sink(frame).append(event)


def protocol_of(node: ast.expr, frame: types.FrameType) -> Any:
    """Return the number that says how to pickle, where it is written so that it can be read off."""
    with contextlib.suppress(ValueError):
        return ast.literal_eval(node)
    chain = callsite.chain_of(node)
    return forms.resolve(chain, frame) if chain else None


def how_of(function: Any) -> Optional[str]:
    """Return how a function copies, None for one that does not."""
    return next((how for how, copier in COPIES.items() if function is copier), None)
