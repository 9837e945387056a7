"""What is known of oras, held against the committed results; the slow tests install releases from the index."""

import json
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from matrix import cli
from matrix.scoring import Case, compare, passing_tests, read_cases

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "results" / "oras"
RECORDED = "0.2.43"
# Tests of the latest suite that pass, counted by hand with docker-registry as the service: those that ask ghcr.io,
# which a registry of ours stands for, could not be counted.
PASSING = {
    "0.0.0": 0,
    "0.0.1": 10,
    "0.1.0": 12,
    "0.1.2": 15,
    "0.1.11": 13,
    "0.1.30": 17,
    "0.2.2": 19,
    "0.2.25": 20,
    "0.2.30": 21,
    "0.2.34": 24,
    "0.2.41": 24,
    "0.2.42": 65,
    "0.2.43": 67,
}
ASK_GHCR = ("test_get_many_tags", "test_ssl_")
GRADINGS = {"gated": ("tests.csv", "truth.csv"), "ungated": ("tests-ungated.csv", "truth-tolerant.csv")}


@pytest.fixture(scope="module")
def truth() -> dict[Case, str]:
    """Return the committed truth of the anonymous profile."""
    cases = read_cases(RESULTS / "truth.csv")
    return {case: outcome for case, outcome in cases.items() if case.profile == "anonymous"}


@pytest.mark.parametrize("release", PASSING)
def test_as_many_tests_pass_as_were_counted(truth: dict[Case, str], release: str) -> None:
    """On each release that was counted by hand."""
    asked = [case for case in truth if any(name in case.test for name in ASK_GHCR)]
    counts = Counter(truth[case] for case in truth if case.release == release and case not in asked)
    assert counts["passed"] == PASSING[release]


def test_all_releases_have_a_truth(truth: dict[Case, str]) -> None:
    """56 releases, 74 tests each, and no outcome but those of pytest."""
    assert len({case.release for case in truth}) == 56
    assert len({case.test for case in truth}) == 74
    assert set(truth.values()) == {"passed", "failed", "error", "skipped"}


@pytest.mark.parametrize(
    ("test", "from_release"),
    [("test_oras.py::test_get_delete_tags", "0.1.16"), ("test_split_path_and_content", "0.1.19")],
)
def test_releases_are_not_in_the_order_of_time(truth: dict[Case, str], test: str, from_release: str) -> None:
    """0.1.2 was uploaded after 0.1.19, and has what 0.1.11 to 0.1.15 lack."""
    found = {case.release: outcome for case, outcome in truth.items() if test in case.test}
    assert [found[release] for release in ("0.1.2", "0.1.11", "0.1.15", from_release)] == [
        "passed",
        "failed",
        "failed",
        "passed",
    ]


@pytest.mark.parametrize("grading", GRADINGS)
def test_the_committed_verdicts_agree_with_the_truth(grading: str) -> None:
    """Not one verdict is another, and `accuracy.json` says so."""
    replayed, true = (RESULTS / name for name in GRADINGS[grading])
    if not replayed.exists():
        pytest.skip(f"{replayed} is not made yet")
    cases = read_cases(true)
    found = compare(read_cases(replayed), cases, passing_tests(cases, RECORDED))
    assert [*found.false_works, *found.false_fails, *found.unknown] == []
    scores = json.loads((RESULTS / "accuracy.json").read_text())["tests"][grading]
    assert scores["agree"]["numerator"] == scores["agree"]["denominator"] == found.judged


@pytest.mark.slow
def test_the_truth_is_what_the_command_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Running the suite again on three releases gives the committed columns."""
    pytest.importorskip("uv", reason="uv is not installed")
    releases = ["0.1.2", "0.2.30", RECORDED]
    monkeypatch.chdir(ROOT)
    assert cli.main(["truth", *releases, "--profile", "anonymous", "--cache", str(tmp_path)]) == 0
    for path in (tmp_path / "endings").iterdir():
        release, profile = path.name.removesuffix(".json").removesuffix(".tolerant").rsplit(".", 1)
        cases = read_cases(RESULTS / ("truth-tolerant.csv" if ".tolerant." in path.name else "truth.csv"))
        outcomes = json.loads(path.read_text())["outcomes"]
        assert {test: outcome for test, (outcome, _) in outcomes.items()} == {
            case.test: outcome for case, outcome in cases.items() if (case.release, case.profile) == (release, profile)
        }
    assert len(list((tmp_path / "endings").iterdir())) == 2 * len(releases)


@pytest.mark.slow
def test_planted_faults_show(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of fifty mutants the replay shows those that the suite kills, and judges nearly every test as the suite does."""
    pytest.importorskip("uv", reason="uv is not installed")
    if shutil.which("uv") is None or not list((ROOT / "traces").glob("oras-*-anonymous.masks.json")):
        pytest.skip("there is no uv, or no trace with its baseline")
    monkeypatch.chdir(ROOT)
    arguments = ["50", "--seed", "5", "--cache", str(tmp_path), "--out", str(tmp_path)]
    assert cli.main(["mutants", *arguments]) == 0
    scores = json.loads((tmp_path / "accuracy.json").read_text())["mutants"]
    assert scores["mutants"] == 50
    assert scores["undetected"] == []
    assert scores["false_works"]["numerator"] <= 1, scores["disagreements"]
    assert scores["false_fails"]["numerator"] <= 4, scores["disagreements"]


@pytest.mark.slow
def test_the_first_command_of_a_fresh_clone_may_take_words(tmp_path: Path) -> None:
    """The engine is installed before, and what follows ``--`` is the command's alone."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, tracked.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("results/", "tests/")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    command = [sys.executable, "-m", "nox", "-s", "mutants", "--", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "usage: caliper-matrix mutants" in done.stdout
    assert (tmp_path / ".nox" / "engine" / "caliper.txt").exists()
