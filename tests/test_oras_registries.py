"""The suite of oras, recorded with no network but loopback, on the embedded registry and on Debian's."""

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from recorded import make_environment

from matrix.baseline import compare_runs
from matrix.judging import Judge, Reports, sort_reports
from matrix.registry import Registry
from matrix.replaying import replay_trace
from matrix.rows import RANK
from matrix.subject import load_subject
from matrix.trace import read_trace

ROOT = Path(__file__).parent.parent
RECORDED, OLD = "0.2.43", "0.2.30"
PROFILES = ("anonymous", "auth")
REGISTRIES = ("embedded", "docker-registry")
BESIDE = ("boto3", "docker==5.0.1", "pytest>=9")

UNSHARE = ("unshare", "--map-root-user", "--net")  # a namespace that has loopback alone, switched off
RECORD = """
import fcntl, json, socket, struct, sys
from dataclasses import replace
from pathlib import Path
alone, python, registry, profile, out = sys.argv[1:]
if alone:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x41))  # SIOCSIFFLAGS: up and running
    assert [name for _, name in socket.if_nameindex()] == ["lo"], socket.if_nameindex()
from matrix.recording import record_subject
from matrix.subject import load_subject
subject = replace(load_subject("oras"), options={"registry": registry})
recording = record_subject(subject, profile, python, Path(out))
json.dump([recording.status, recording.troubles, recording.refusals], sys.stderr)
"""


@functools.cache
def alone() -> str:
    """Return why a process cannot be cut off from all networks here, nothing where it can."""
    if shutil.which(UNSHARE[0]) is None:
        return "unshare is not installed"
    return subprocess.run([*UNSHARE, "true"], capture_output=True, text=True, check=False).stderr.strip()


@dataclass(frozen=True, slots=True)
class Recordings:
    """The recorded release with what its suite needs, and traces of it by registry and profile."""

    python: Path
    folder: Path

    def trace(self, registry: str, profile: str) -> Path:
        """Return a trace, recorded if it is not there, without a network where that can be had."""
        if registry == "docker-registry" and shutil.which(registry) is None:
            pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
        path = self.folder / f"{registry}-{profile}.trace.jsonl.gz"
        if not path.exists():
            command = [sys.executable, "-P", "-c", RECORD, "" if alone() else "alone"]
            command = [*([] if alone() else UNSHARE), *command, str(self.python), registry, profile, str(path)]
            ran = subprocess.run(command, capture_output=True, text=True, check=False)
            assert ran.returncode == 0, ran.stdout + ran.stderr
            assert json.loads(ran.stderr.splitlines()[-1]) == [0, [], []]
        return path


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Recordings:
    """Install the recorded release with what its suite needs."""
    folder = tmp_path_factory.mktemp("oras")
    return Recordings(make_environment(folder / "venv", "3.11", f"oras=={RECORDED}", *BESIDE), folder)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of an environment with an older release."""
    return make_environment(tmp_path_factory.mktemp("old") / "venv", "3.11", f"oras=={OLD}", *BESIDE)


def own_events(path: Path) -> tuple[Mapping[str, str], Mapping[str, int]]:
    """Return the outcome, and the number of events, of each test in a trace."""
    trace = read_trace(path)
    counts = dict.fromkeys(trace.end["tests"], 0)
    test = ""
    for event in trace.events:
        if event["e"] == "test":
            test = event["id"]
        elif test in counts:
            counts[test] += 1
    return trace.end["tests"], counts


def check_all(*paths: Path) -> None:
    """Check that each of the 74 tests passed in one of some traces, with an event of its own there."""
    found = [own_events(path) for path in paths]
    every = {test for outcomes, _ in found for test in outcomes}
    assert len(every) == 74
    shown = {test for outcomes, counts in found for test in every if outcomes.get(test) == "passed" and counts[test]}
    assert every - shown == set()


def test_all_tests_are_in_the_committed_traces() -> None:
    """Each of the 74 passed in a profile, with an event of its own."""
    check_all(*(ROOT / "traces" / f"oras-{RECORDED}-{profile}.trace.jsonl.gz" for profile in PROFILES))


@pytest.mark.slow
def test_all_tests_are_recorded_without_a_network(recordings: Recordings) -> None:
    """In a namespace with loopback alone each of the 74 passes in a profile, and nothing tries to leave."""
    if reason := alone():
        pytest.skip(f"a namespace without a network cannot be made here: {reason}")
    check_all(*(recordings.trace("embedded", profile) for profile in PROFILES))


@pytest.mark.slow
def test_both_registries_give_the_same_tests(recordings: Recordings) -> None:
    """The same tests pass and are skipped, and call the same functions as often, on the embedded and on Debian's."""
    ends = [read_trace(recordings.trace(registry, "anonymous")).end for registry in REGISTRIES]
    assert ends[0] == ends[1]


@pytest.mark.slow
def test_both_registries_give_the_same_cells(recordings: Recordings, old: Path) -> None:
    """On the recorded release and an older one, each function that tests call has the same cell on both registries."""
    cells = [cells_of(recordings, registry, old) for registry in REGISTRIES]
    assert {key: [found[key] for found in cells] for key in cells[0] if cells[0][key] != cells[1][key]} == {}
    assert cells[0].keys() == cells[1].keys()


@pytest.mark.slow
def test_a_registry_at_a_url_does_as_well(recordings: Recordings) -> None:
    """What was recorded on the embedded registry works on one that is known by its URL alone, and is left empty."""
    judge, _ = baseline(recordings, "embedded")
    with Registry() as there:
        rows = judge.rows(RECORDED, replay(recordings, "embedded", recordings.python, there.url))[0]
        left = there.snapshot()["repositories"]
    assert {row.verdict for row in rows if row.tier == "boundary"} <= {"ok", "differs"}
    assert {name for name, repository in left.items() if any(repository.values())} == set()


def replay(recordings: Recordings, registry: str, python: Path, place: str = "") -> Reports:
    """Replay what tests call, in the anonymous profile, where it was recorded or in another place."""
    path = recordings.trace(registry, "anonymous")
    subject = replace(load_subject("oras"), options={"registry": place or registry})
    return sort_reports(replay_trace(subject, "", python, path, read_trace(path), also=None, inner=False).reports)


def baseline(recordings: Recordings, registry: str) -> tuple[Judge, Reports]:
    """Return what judges by a registry's recording, with what is noise on the recorded release, and a replay there."""
    trace = read_trace(recordings.trace(registry, "anonymous"))
    runs = [replay(recordings, registry, recordings.python) for _ in range(2)]
    found = compare_runs(trace, *runs)
    return Judge(trace, found.masks, found.unreplayable), runs[0]


def cells_of(recordings: Recordings, registry: str, old: Path) -> Mapping[tuple[str, str], str]:
    """Return the cell of each function that tests call, by release."""
    judge, recorded = baseline(recordings, registry)
    found: dict[tuple[str, str], set[str]] = {}
    for release, run in ((RECORDED, recorded), (OLD, replay(recordings, registry, old))):
        for row in judge.rows(release, run)[0]:
            if row.tier == "boundary":
                found.setdefault((row.function, row.release), set()).add(row.verdict)
    return {key: min(made, key=RANK.__getitem__) for key, made in found.items()}
