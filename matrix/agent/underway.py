"""A call under way."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from . import probes
from .values import Json


class Token:
    """A call under way."""

    __slots__ = (
        "before",
        "chance",
        "changeable",
        "definition",
        "dropped",
        "event",
        "inner",
        "items",
        "result",
        "script",
        "services",
        "sink",
        "step",
        "suspended",
        "yielded",
    )

    def __init__(self, definition: probes.Definition, event: Dict[str, Json], sink: List[Json]) -> None:
        """Make one for an event that will go to ``sink`` when it is over."""
        self.definition, self.event, self.sink = definition, event, sink
        self.result: Any = None  # the object that a constructor makes
        self.script: Optional[List[Json]] = None  # of a stub: the events that it causes
        self.changeable: Dict[str, Tuple[Any, str]] = {}  # arguments: the object, and its state at entry
        self.chance: Any = None  # the state of the random numbers when it began, or went on
        self.yielded = False
        self.items = 0  # how often it has yielded
        self.inner = False
        self.dropped = False  # one of too many like it: what it does is heard, and not kept
        self.before: Dict[str, Any] = {}  # files that changed during the call, as they were before it
        self.services: Dict[str, str] = {}
        self.suspended = False  # at a yield, and nothing was heard of it since
        self.step: Dict[str, Json] = event  # of a stub: what is under way, the call or one of its yields

    def net(self, entries: Dict[str, Any]) -> Dict[str, Any]:
        """Return what changed in the files since the call began."""
        return {name: entries.get(name) for name, old in sorted(self.before.items()) if entries.get(name) != old}
