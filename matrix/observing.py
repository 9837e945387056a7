"""What the recorded release's suite calls on every release, and what comes of it: run there under the recorder."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from matrix.call_truth import DIED
from matrix.files import atomic_write
from matrix.installer import InstallError
from matrix.staleness import AGENT, file_digest
from matrix.suite.server import Answer
from matrix.suite.stage import Selection, Stage
from matrix.truth import Ending, Part, digest_inputs, on_each

# Contents are compared by their digests.
LEFT_OUT = ("blob", "content")


@dataclass(frozen=True, slots=True)
class Observed:
    """One run of the suite under the recorder: pytest's outcomes by test, and the events (docs/trace-format.md)."""

    part: Part
    outcomes: Mapping[str, str]
    events: Sequence[dict[str, Any]]

    def count(self) -> int:
        """Return how many calls it holds."""
        return sum(event.get("e") == "call" for event in self.events)

    def disturbed(self, ending: Ending) -> set[str]:
        """Return the tests that ended otherwise without the recorder."""
        return {test for test, (outcome, _) in ending.outcomes.items() if self.outcomes.get(test, outcome) != outcome}


def observe(
    stage: Stage, selected: Mapping[str, Selection], releases: Sequence[str], jobs: int
) -> Iterator[list[Observed]]:
    """Yield the runs of each release, as they come: tolerantly, in all profiles; what the cache holds is not run again.

    A release that can't be installed has none.

    Raises:
        SuiteError: an environment does not run pytest.
        InstallerError: a release could not be installed, and it could not be found out why.
    """
    facts = [digest_inputs(stage), *(file_digest(path) for path in sorted(AGENT.glob("*.py")))]
    inputs = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return on_each(partial(observe_release, stage, selected, inputs=inputs), releases, jobs)


def observe_release(stage: Stage, selected: Mapping[str, Selection], release: str, inputs: str) -> list[Observed]:
    """Return the runs of one release."""
    parts = [Part(release, profile, tolerant=True) for profile in selected]
    found = {part: recall(stage.cache, part, inputs) for part in parts}
    if None not in found.values():
        return [run for run in found.values() if run]
    try:
        there = stage.environment(release)
    except InstallError:
        return []
    warm: list[str] = []
    for part in parts:
        if found[part] is None:
            with stage.serve(there, warm) as server:
                answer = stage.run(server, part.profile, selected[part.profile], tolerant=True, record=True)
            warm = warm or stage.besides(answer.modules)
            found[part] = run = run_of(part, answer)
            remember(stage.cache, run, inputs)
    return [run for run in found.values() if run]


def run_of(part: Part, answer: Answer) -> Observed:
    """Return the run that gave an answer; of a test that took its process along, the answer alone knows."""
    events = [event for event in answer.events if event.get("def") not in LEFT_OUT]
    told = {event["test"] for event in events if event.get("e") == "failed"}
    for test, (outcome, reason) in answer.outcomes.items():
        if outcome == "failed" and test not in told:
            events.append({"e": "failed", "test": test, "type": DIED, "text": reason, "statement": "", "names": []})
    return Observed(part, {test: outcome for test, (outcome, _) in answer.outcomes.items()}, events)


def place(cache: Path, part: Part) -> Path:
    """Return where a run is kept."""
    return cache / "observed" / f"{part.release}.{part.profile}.json.gz"


def recall(cache: Path, part: Part, inputs: str) -> Observed | None:
    """Return a run that was kept, unless it came from other inputs."""
    try:
        kept = json.loads(gzip.decompress(place(cache, part).read_bytes()))
        return Observed(part, kept["outcomes"], kept["events"]) if kept["inputs"] == inputs else None
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError):
        return None


def remember(cache: Path, run: Observed, inputs: str) -> None:
    """Keep a run."""
    kept = {"inputs": inputs, "outcomes": run.outcomes, "events": run.events}
    atomic_write(place(cache, run.part), gzip.compress(json.dumps(kept).encode(), 6, mtime=0))
