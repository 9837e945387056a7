"""What turned between two results folders."""

from dataclasses import dataclass

from matrix.answers.results import Results
from matrix.report.turns import Turn, group
from matrix.turned import Turned


@dataclass(frozen=True, slots=True)
class Changes:
    """The cells and the tests that turned, and the releases that only one of the two has."""

    functions: list[Turn]
    tests: list[Turn]
    added: tuple[str, ...]
    removed: tuple[str, ...]


def changes(before: Results, after: Results) -> Changes:
    """Return what turned on the releases that both have; a function or test that only one has is listed as such."""
    common = [release for release in after.releases if release in before.releases]
    pairs = [(before.cells, after.cells), (before.tests, after.tests)]
    functions, tests = (
        group(
            Turned(name, release, old.get(name, {}).get(release, ""), new.get(name, {}).get(release, ""))
            for name in dict.fromkeys([*old, *new])
            for release in common
            if old.get(name, {}).get(release) != new.get(name, {}).get(release)
        )
        for old, new in pairs
    )
    return Changes(
        functions,
        tests,
        tuple(release for release in after.releases if release not in before.releases),
        tuple(release for release in before.releases if release not in after.releases),
    )
