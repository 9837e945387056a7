"""What the trials say of the replay, as scores and as a table."""

import csv
import io
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from matrix.accuracy import share
from matrix.mutants.running import Trial
from matrix.scoring import FAILS, Agreement, Case, as_scores, compare

COLUMNS = ["mutant", "file", "line", "function", "operator", "change", "failing", "said", "false_works", "false_fails"]


def cases(trials: Sequence[Trial]) -> tuple[dict[Case, str], dict[Case, str]]:
    """Return what the replay says and what is so, of every test on every mutant."""
    replayed = {Case(*key, trial.site.name): value for trial in trials for key, value in trial.replayed.items()}
    truth = {Case(*key, trial.site.name): value for trial in trials for key, value in trial.truth.items()}
    return replayed, truth


def agreement(trials: Sequence[Trial], passing: Collection[tuple[str, str]]) -> Agreement:
    """Compare the replay with the suite over all trials."""
    return compare(*cases(trials), passing)


def score(trials: Sequence[Trial], passing: Collection[tuple[str, str]], seed: int) -> dict[str, Any]:
    """Return the scores as JSON data.

    A mutant is ``killed`` if a test of the suite fails on it, and ``detected`` if the replay says so of any test.
    """
    found = agreement(trials, passing)
    changes = {trial.site.name: f"{trial.site.function}: {trial.site.change}" for trial in trials}
    killed = [trial for trial in trials if failing(trial, passing)]
    detected = [trial for trial in killed if said(trial, passing)]
    return {
        "mutants": len(trials),
        "seed": seed,
        "killed": share(len(killed), len(trials)),
        "detected": share(len(detected), len(killed)),
        "undetected": [trial.site.name for trial in killed if trial not in detected],
        **as_scores(found, lambda case: changes[case.release]),
        "operators": dict(sorted(by_operator(trials, passing).items())),
    }


def by_operator(trials: Sequence[Trial], passing: Collection[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return for each operator how many mutants there are and how many tests are judged wrongly."""
    counts: dict[str, dict[str, int]] = {}
    for operator in {trial.site.operator for trial in trials}:
        own = [trial for trial in trials if trial.site.operator == operator]
        found = agreement(own, passing)
        counts[operator] = {
            "mutants": len(own),
            "killed": sum(1 for trial in own if failing(trial, passing)),
            "false_works": len(found.false_works),
            "false_fails": len(found.false_fails),
        }
    return counts


def failing(trial: Trial, passing: Collection[tuple[str, str]]) -> int:
    """Return how many tests fail that pass without the change."""
    return sum(1 for key, outcome in trial.truth.items() if key in passing and outcome in ("failed", "error"))


def said(trial: Trial, passing: Collection[tuple[str, str]]) -> int:
    """Return of how many of these tests the replay says that they fail."""
    return sum(1 for key, verdict in trial.replayed.items() if key in passing and verdict == FAILS)


def render(trials: Sequence[Trial], passing: Collection[tuple[str, str]]) -> str:
    """Return the trials as CSV, a row a mutant."""
    found = agreement(trials, passing)
    wrong = (
        Counter(item.case.release for item in found.false_works),
        Counter(item.case.release for item in found.false_fails),
    )
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(trials, passing, wrong))
    return text.getvalue()


def rows(
    trials: Sequence[Trial], passing: Collection[tuple[str, str]], wrong: Sequence[Mapping[str, int]]
) -> Iterator[list[object]]:
    """Yield a row a mutant, sorted by place."""
    for trial in sorted(trials, key=lambda trial: trial.site):
        site = trial.site
        place = [site.name, site.file, site.line, site.function, site.operator, site.change]
        yield [*place, failing(trial, passing), said(trial, passing), *(counts.get(site.name, 0) for counts in wrong)]
