"""Cells that turned, grouped: a function that turned the same way on many releases is one line."""

from collections.abc import Iterable
from dataclasses import dataclass

from matrix.rows import MEANING, YES, ranges, version_key
from matrix.turned import Turned


@dataclass(frozen=True, slots=True)
class Turn:
    """How cells of a function (or a test) turned; empty where there was, or is, no such cell."""

    function: str
    before: str
    after: str
    releases: tuple[str, ...]

    @property
    def kind(self) -> str:
        """``broke``, ``mended``, or ``turned`` where neither is so."""
        was, now = _works(self.before), _works(self.after)
        if was and not now and self.after:
            return "broke"
        return "mended" if now and not was and self.before else "turned"

    def place(self, order: tuple[str, ...]) -> str:
        """Return the releases in words."""
        return ranges(self.releases, order)


def _works(name: str) -> bool:
    return name == "works" or (name in MEANING and MEANING[name].works == YES)


def group(cells: Iterable[Turned]) -> list[Turn]:
    """Return the cells by function and by what they were and are, what broke first."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for cell in cells:
        groups.setdefault((cell.function, cell.before, cell.after), []).append(cell.release)
    turns = [Turn(*key, tuple(sorted(releases, key=version_key))) for key, releases in groups.items()]
    return sorted(
        turns, key=lambda turn: (("broke", "mended", "turned").index(turn.kind), turn.function, turn.releases)
    )


def order_of(turns: Iterable[Turn], releases: Iterable[str]) -> tuple[str, ...]:
    """Return ``releases`` and those of the turns that are not among them, in version order."""
    return tuple(sorted({*releases, *(release for turn in turns for release in turn.releases)}, key=version_key))
