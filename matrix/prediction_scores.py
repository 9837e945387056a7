"""How often predictions are right: against the replay, and beside two guesses that cost nothing."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matrix.accuracy import Counts, count, scores, share
from matrix.grid import Cells, Grid
from matrix.predict import NEGATIVE, UNKNOWN
from matrix.rows import MEANING, NO, OK
from matrix.rows import UNKNOWN as NO_JUDGEMENT

Pair = tuple[str, str]
# Why a prediction and the replay disagree, by what each says; the first that fits.
BEHAVIOUR, BLOCKED, ENVIRONMENT, DYNAMIC_NAME, DYNAMIC_SIGNATURE, UNREAD, OTHER_VERDICT = (
    "behaviour", "blocked", "environment", "dynamic name", "dynamic signature", "not readable", "other verdict",
)  # fmt: skip
EXPLAINED = {
    BEHAVIOUR: "the names and the arguments fit, and the release does something else",
    BLOCKED: "the call itself fits, and an earlier call that it needs failed",
    ENVIRONMENT: "what is installed beside the release decides",
    DYNAMIC_NAME: "a name is made or taken away at run time",
    DYNAMIC_SIGNATURE: "what the arguments bind to is made at run time",
    UNREAD: "reading does not tell",
    OTHER_VERDICT: "both say that it does not work, for different reasons",
}


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A cell that was predicted otherwise than replayed, with the kind of reason."""

    function: str
    release: str
    predicted: str
    replayed: str
    kind: str


def comparable(predicted: Grid, replayed: Grid) -> list[Pair]:
    """Return the cells of both tables that replay could judge, in the order of the replay's table."""
    places = ((function, release) for function in replayed.functions for release in replayed.releases)
    return [
        place for place in places if place in predicted.cells and MEANING[replayed.cells[place]].works != NO_JUDGEMENT
    ]


def next_newer(replayed: Grid) -> dict[Pair, str]:
    """Return what the guess "same as on the next newer release" says of each cell; of the newest, that it works."""
    guesses = {}
    for function in replayed.functions:
        newer = OK
        for release in reversed(replayed.releases):
            guesses[function, release] = newer
            verdict = replayed.cells[function, release]
            newer = verdict if MEANING[verdict].works != NO_JUDGEMENT else newer
    return guesses


def score(predicted: Grid, replayed: Grid) -> dict[str, Any]:
    """Return every score as JSON data.

    ``does_not_work`` is the one that matters: missing, signature, shifted and import-error together, as what reading
    can tell; ``any_failure`` counts everything that replay calls not working. ``changes`` are the cells that differ
    from the next newer release in that respect. An unknown prediction counts as not having said "does not work".
    """
    places = comparable(predicted, replayed)
    newer = next_newer(replayed)
    older = [place for place in places if place[1] != replayed.releases[-1]]
    changes = [place for place in older if (replayed.cells[place] in NEGATIVE) != (newer[place] in NEGATIVE)]
    guesses: dict[str, Cells] = {
        "predictions": predicted.cells,
        "always_ok": dict.fromkeys(places, OK),
        "same_as_next_newer": newer,
    }
    return {
        "cells": {"compared": len(places), "changes": len(changes)},
        "known": share(sum(predicted.cells[place] != UNKNOWN for place in places), len(places)),
        "same_verdict": share(sum(predicted.cells[place] == replayed.cells[place] for place in places), len(places)),
        "does_not_work": _by_guess(guesses, replayed, places, changes, lambda verdict: verdict in NEGATIVE),
        "any_failure": _by_guess(guesses, replayed, places, changes, fails),
        "verdicts": {name: _measure(predicted.cells, replayed, places, is_verdict(name)) for name in (*NEGATIVE, OK)},
        "confusion": _confusion(predicted, replayed, places),
        "releases": [_release(predicted, replayed, places, release) for release in replayed.releases],
        "disagreements": dict(sorted(Counter(one.kind for one in disagreements(predicted, replayed)).items())),
    }


def fails(verdict: str) -> bool:
    """Tell whether a verdict, of replay or predicted, means "does not work"."""
    return verdict != UNKNOWN and MEANING[verdict].works == NO


def is_verdict(name: str) -> Callable[[str], bool]:
    """Return what tells whether a verdict is the one of that name."""
    return lambda verdict: verdict == name


def _by_guess(
    guesses: Mapping[str, Cells],
    replayed: Grid,
    places: Sequence[Pair],
    changes: Sequence[Pair],
    positive: Callable[[str], bool],
) -> dict[str, Any]:
    return {
        name: {
            "all_cells": _measure(cells, replayed, places, positive),
            "changed_cells": _measure(cells, replayed, changes, positive),
        }
        for name, cells in guesses.items()
    }


def _measure(cells: Cells, replayed: Grid, places: Sequence[Pair], positive: Callable[[str], bool]) -> dict[str, Any]:
    """Return the scores of one guess about one class of verdicts; functions are the groups that are resampled."""
    by_function: dict[str, list[Pair]] = {}
    for place in places:
        by_function.setdefault(place[0], []).append(place)
    return scores([_counts(cells, replayed, some, positive) for some in by_function.values()])


def _counts(cells: Cells, replayed: Grid, places: Sequence[Pair], positive: Callable[[str], bool]) -> Counts:
    return count([positive(cells[place]) for place in places], [positive(replayed.cells[place]) for place in places])


def _confusion(predicted: Grid, replayed: Grid, places: Sequence[Pair]) -> dict[str, dict[str, int]]:
    """Return how many cells are predicted one thing and replayed another: predicted first."""
    pairs = Counter((predicted.cells[place], replayed.cells[place]) for place in places)
    table: dict[str, dict[str, int]] = {}
    for (said, true), number in sorted(pairs.items()):
        table.setdefault(said, {})[true] = number
    return table


def _release(predicted: Grid, replayed: Grid, places: Sequence[Pair], release: str) -> dict[str, Any]:
    """Return the scores of one release: in all, and for each class of verdicts."""
    here = [place for place in places if place[1] == release]
    classes: dict[str, Callable[[str], bool]] = {"does_not_work": lambda verdict: verdict in NEGATIVE}
    classes |= {name: is_verdict(name) for name in (*NEGATIVE, OK)}
    measured = {
        name: _measure(predicted.cells, replayed, here, positive)
        for name, positive in classes.items()
        if any(positive(grid.cells[place]) for grid in (predicted, replayed) for place in here)
    }
    return {"release": release, "confusion": _confusion(predicted, replayed, here), **measured}


def disagreements(predicted: Grid, replayed: Grid) -> list[Disagreement]:
    """Return the cells that were predicted otherwise than replayed, each with its kind of reason."""
    found = []
    for place in comparable(predicted, replayed):
        said, true = predicted.cells[place], replayed.cells[place]
        kind = _kind(said, true)
        if kind:
            found.append(Disagreement(*place, said, true, kind))
    return found


def _kind(said: str, true: str) -> str | None:
    if said == true or (said == OK and not fails(true)):
        return None
    if said == UNKNOWN or (said in NEGATIVE and fails(true)):
        return UNREAD if said == UNKNOWN else OTHER_VERDICT
    if "import-error" in {said, true}:
        return ENVIRONMENT
    if true == "blocked":
        return BLOCKED
    if said == OK and true not in NEGATIVE:
        return BEHAVIOUR
    return DYNAMIC_NAME if "missing" in {said, true} else DYNAMIC_SIGNATURE


def table(scored: Mapping[str, Any]) -> str:
    """Return the scores that matter as a Markdown table."""
    lines = ["| does not work | cells | precision | recall | F1 | 95 % |", "|---|---|---:|---:|---:|---|"]
    for guess, by_cells in scored["does_not_work"].items():
        for which, measured in by_cells.items():
            shown = [_percent(measured[name]["share"]) for name in ("precision", "recall", "f1")]
            interval = measured["f1"]["interval"]
            bounds = f"{_percent(interval[0])} to {_percent(interval[1])}" if interval else ""
            name, cells = guess.replace("_", " "), f"{which.replace('_', ' ')} ({measured['cells']:,})"
            lines.append(f"| {name} | {cells} | {' | '.join(shown)} | {bounds} |")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.1f} %"
