"""Services as an agent sees them: which changed since the last look, and whether that had to be asked."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from matrix.agent.services import Counts
from matrix.agent.services import Services as Seen
from matrix.services import Control, Service


class Tally(Service):
    """A service whose state is a number; it counts how often it was asked."""

    def __init__(self, *, tells: bool) -> None:
        """Begin with zero; one that ``tells`` announces its changes."""
        self.number = self.asked = 0
        self.tells = tells
        self.changed: Callable[[], None] = lambda: None

    def announce(self, changed: Callable[[], None]) -> bool:
        """Keep whom to tell."""
        self.changed = changed if self.tells else self.changed
        return self.tells

    def generation(self) -> int:
        """Return the number."""
        self.asked += 1
        return self.number

    def snapshot(self) -> object:
        """Return the number."""
        return self.number

    def contents(self, state: object) -> dict[str, bytes]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def restore(self, state: Any, contents: dict[str, bytes]) -> None:  # noqa: ANN401, ARG002
        """Set the number."""
        self.set(state)

    def set(self, number: int) -> None:
        """Change the state."""
        self.number = number
        self.changed()


@pytest.fixture
def seen() -> Iterator[Callable[[Control], Seen]]:
    """Return a function that looks at services as a recorder does."""
    with contextlib.ExitStack() as stack:

        def look(control: Control) -> Seen:
            made = Seen(control.address)
            stack.callback(os.close, made.counts.file)
            stack.callback(made.line.connection.close)
            stack.callback(made.line.file.close)
            return made

        yield look


@pytest.mark.parametrize("tells", [True, False])
def test_a_change_is_seen_once(seen: Callable[[Control], Seen], tmp_path: Path, tells: bool) -> None:  # noqa: FBT001
    """By the name of the service, whether it says that it changed or has to be asked; another one is not named."""
    tally = Tally(tells=tells)
    with Control({"other": Tally(tells=True), "tally": tally}, tmp_path) as control:
        services = seen(control)
        looks = [services.changed()]
        tally.set(1)
        looks += [services.changed(), services.changed()]
    assert looks == [[], ["tally"], []]


@pytest.mark.parametrize(("tells", "asked"), [(True, 0), (False, 3)])
def test_only_a_service_that_does_not_tell_is_asked_each_time(
    seen: Callable[[Control], Seen],
    tmp_path: Path,
    tells: bool,  # noqa: FBT001
    asked: int,
) -> None:
    """One that tells is not asked while nothing changes."""
    tally = Tally(tells=tells)
    with Control({"tally": tally}, tmp_path) as control:
        services = seen(control)
        before = tally.asked
        for _ in range(3):
            services.changed()
    assert tally.asked - before == asked


def test_a_restored_state_counts_as_a_change(tmp_path: Path) -> None:
    """Whoever restored it knows the count, and notices what others do from then on; one that tells nothing has none."""
    tally = Tally(tells=True)
    with Control({"silent": Tally(tells=False), "tally": tally}, tmp_path) as control:
        counts = Counts(control.address)
        before = counts.of(1)
        control.answer({"do": "restore", "name": "tally", "state": 5})
        assert counts.of(1) != before
        assert counts.of(0) is None
        os.close(counts.file)
    tally.set(6)  # after the end it tells nobody
    assert tally.number == 6
