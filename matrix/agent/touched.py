"""What functions of the caller's do to the objects that they are handed, while the call goes on that made them."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Tuple

from .ledger import Ledger
from .underway import Token
from .values import Json


class Touched:
    """The attributes of such objects, as they were last seen; what the subject does to them it will do again."""

    def __init__(self, ledger: Ledger) -> None:
        """Hold none yet."""
        self.ledger = ledger
        self.held: Dict[int, List[Tuple[Any, Dict[str, Any]]]] = {}  # by the call of the function

    def begin(self, token: Token, values: Tuple[Any, ...]) -> None:
        """Look at what a function is handed."""
        held = [(value, self.state(value)) for value in values if self.is_watched(value)]
        if held:
            self.held[id(token)] = held

    def end(self, token: Token) -> None:
        """Look no longer at what a function was handed."""
        self.held.pop(id(token), None)

    def state(self, obj: Any) -> Dict[str, Any]:
        """Return the attributes of an object."""
        state: Dict[str, Any] = self.ledger.snapshots.state_of(obj)
        return state

    def is_watched(self, obj: Any) -> bool:
        """Say whether an object is one that only a call can make again: of the subject's, or of a class it finished."""
        snapshots, kind = self.ledger.snapshots, type(obj)
        if isinstance(obj, type) or not (snapshots.is_subjects(kind) or snapshots.is_suites(kind)):
            return False
        return self.ledger.known.get(obj) is not None

    def refresh(self) -> None:
        """Take everything as it is now."""
        for token, held in self.held.items():
            self.held[token] = [(obj, self.state(obj)) for obj, _ in held]

    def changes(self) -> Iterator[Json]:
        """Yield an event for each attribute that was set or deleted since."""
        for held in list(self.held.values()):
            for index, (obj, before) in enumerate(held):
                now = self.state(obj)
                held[index] = (obj, now)
                for name in [*now, *before.keys() - now.keys()]:
                    if now.get(name, self) is not before.get(name, self):
                        yield self.event(obj, name, now)

    def event(self, obj: Any, name: str, now: Dict[str, Any]) -> Json:
        """Return the event of one attribute."""
        argument = self.ledger.snapshots.argument
        made: Dict[str, Json] = {"e": "patch", "target": argument(obj), "name": name}
        made.update({"value": argument(now[name])} if name in now else {"deleted": True})
        return made
