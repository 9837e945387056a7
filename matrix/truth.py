"""The truth: the recorded release's own suite, run on every release."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from matrix.files import atomic_write
from matrix.installer import InstallError
from matrix.scoring import Case, render_cases
from matrix.staleness import file_digest
from matrix.suite.server import Answer, kill_all
from matrix.suite.stage import Selection, Stage

Found = TypeVar("Found")

INSTALL_ERROR = "install-error"
CODE = [
    Path(__file__),
    *sorted(Path(__file__).parent.glob("suite/*.py")),
    Path(__file__).with_name("agent") / "network.py",
]


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One run of the suite: a release, a profile, and whether imports may fail."""

    release: str
    profile: str
    tolerant: bool

    @property
    def name(self) -> str:
        """A name for it, in files and for people."""
        return f"{self.release}.{self.profile}{'.tolerant' if self.tolerant else ''}"


@dataclass(frozen=True, slots=True)
class Ending:
    """How the tests of a part ended: (outcome, reason) by test; ``uncollected`` says why a file could not be run."""

    part: Part
    outcomes: Mapping[str, tuple[str, str]]
    uncollected: Mapping[str, str]

    def count(self, outcome: str) -> int:
        """Return how many tests ended so."""
        return len(self.tests(outcome))

    def tests(self, outcome: str) -> set[str]:
        """Return the tests that ended so."""
        return {test for test, (found, _) in self.outcomes.items() if found == outcome}


def selections(stage: Stage, profiles: Iterable[str]) -> dict[str, Selection]:
    """Return the tests of each profile, as the recorded release has them."""
    with stage.serve(stage.environment(stage.recorded)) as server:
        return {profile: stage.select(server, profile) for profile in profiles}


def find_truth(
    stage: Stage,
    selected: Mapping[str, Selection],
    releases: Sequence[str],
    jobs: int,
    told: Callable[[Ending], None] = lambda _: None,
) -> list[Ending]:
    """Run the suite on releases, ``jobs`` at a time, as it is and tolerantly; what the cache holds is not run again.

    ``told`` is called with each ending as it comes.

    Raises:
        SuiteError: an environment does not run pytest.
        InstallerError: a release could not be installed, and it could not be found out why.
    """
    inputs = digest_inputs(stage)
    endings: list[Ending] = []
    for found in on_each(partial(find_release, stage, selected, inputs=inputs), releases, jobs):
        for ending in found:
            endings.append(ending)
            told(ending)
    return endings


def on_each(find: Callable[[str], Found], releases: Sequence[str], jobs: int) -> Iterator[Found]:
    """Yield what ``find`` gives for each release, as it comes; ``jobs`` at a time, which end when one raises."""
    pool = ThreadPoolExecutor(jobs)
    try:
        for future in as_completed([pool.submit(find, release) for release in releases]):
            yield future.result()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        kill_all()
        raise
    pool.shutdown()


def find_release(stage: Stage, selected: Mapping[str, Selection], release: str, inputs: str) -> list[Ending]:
    """Return how the tests end on one release, in all profiles, as they are and tolerantly."""
    parts = [Part(release, profile, tolerant) for profile in selected for tolerant in (False, True)]
    known = {part: recall(stage.cache, part, inputs) for part in parts}
    found = [ending for ending in known.values() if ending]
    missing = [part for part, ending in known.items() if ending is None]
    if not missing:
        return found
    try:
        there = stage.environment(release)
    except InstallError as error:
        reason = (INSTALL_ERROR, error.reason)
        return [Ending(part, dict.fromkeys(selected[part.profile].tests, reason), {}) for part in parts]
    warm: list[str] = []
    for part in missing:
        with stage.serve(there, warm) as server:
            answer = stage.run(server, part.profile, selected[part.profile], tolerant=part.tolerant)
        warm = warm or stage.besides(answer.modules)
        ending = complete(part, selected[part.profile].tests, answer)
        remember(stage.cache, ending, inputs)
        found.append(ending)
    return found


def complete(part: Part, tests: Iterable[str], answer: Answer) -> Ending:
    """Return an ending for all ``tests``: one that is not reported since its file can't be run is an error."""
    missing = ("error", "not reported")
    reasons = {file: ("error", reason) for file, reason in answer.uncollected.items()}
    outcomes = {test: answer.outcomes.get(test) or reasons.get(test.partition("::")[0], missing) for test in tests}
    return Ending(part, outcomes, answer.uncollected)


def digest_inputs(stage: Stage) -> str:
    """Return what the endings depend on, as far as it is files: the suite, the subject's, the code that runs it."""
    facts: dict[str, Any] = {
        "suite": stage.suite().digests(),
        "code": [file_digest(path) for path in CODE],
        "services": file_digest(stage.subject.services) if stage.subject.services else "",
        "subject": repr(replace(stage.subject, services=None)),  # their path is not what they are
        "python": stage.python,
        "releases": asdict(stage.listed),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def recall(cache: Path, part: Part, inputs: str) -> Ending | None:
    """Return an ending that was kept, unless it came from other inputs."""
    try:
        kept = json.loads((cache / "endings" / f"{part.name}.json").read_bytes())
        if kept["inputs"] == inputs:
            return Ending(
                part, {test: (found, why) for test, (found, why) in kept["outcomes"].items()}, kept["uncollected"]
            )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return None


def remember(cache: Path, ending: Ending, inputs: str) -> None:
    """Keep an ending."""
    kept = {"inputs": inputs, "outcomes": ending.outcomes, "uncollected": ending.uncollected}
    atomic_write(cache / "endings" / f"{ending.part.name}.json", json.dumps(kept).encode())


def write_truth(out: Path, endings: Iterable[Ending], releases: Iterable[str]) -> tuple[Path, Path]:
    """Write ``truth.csv`` and ``truth-tolerant.csv`` into a folder, with columns in the order of ``releases``."""
    releases, endings = list(releases), list(endings)
    paths = out / "truth.csv", out / "truth-tolerant.csv"
    for path, tolerant in zip(paths, (False, True), strict=True):
        cases = {
            Case(test, ending.part.profile, ending.part.release): outcome
            for ending in endings
            if ending.part.tolerant == tolerant
            for test, (outcome, _) in ending.outcomes.items()
        }
        atomic_write(path, render_cases(cases, releases).encode())
    return paths
