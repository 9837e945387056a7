"""Traces do not depend on the Python that recorded them, nor verdicts on the one that replays."""

import shutil
from pathlib import Path

import pytest
from recorded import CASES, PYTEST, VERSIONS, install_cases, make_environment, record, site_packages

from matrix.judging import Judge, sort_reports
from matrix.replaying import replay_trace
from matrix.subject import Subject
from matrix.trace import read_trace

GAUGE = Path(__file__).with_name("fixtures") / "gauge"
MODULES = ("gauge", "cases")
COMMAND = ("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", ".")
JUDGING, OTHERS = "3.11", ("3.8", "3.13")


def install(python: Path) -> Path:
    """Install both fixture packages, and return the Python."""
    install_cases(python)
    shutil.copytree(GAUGE / "new" / "gauge", site_packages(python) / "gauge")
    return python


@pytest.fixture(scope="module")
def pythons(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return an environment of each Python with the packages; pytest is only where something is recorded."""
    folder = tmp_path_factory.mktemp("pythons")
    made = {}
    for version in sorted({*VERSIONS, *OTHERS}):
        needed = (PYTEST,) if version in VERSIONS else ()
        made[version] = install(make_environment(folder / version, version, *needed))
    return made


@pytest.fixture(scope="module")
def traces(pythons: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return what is recorded on each Python."""
    folder = tmp_path_factory.mktemp("traces")
    made = {}
    for version in VERSIONS:
        work = folder / version
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(CASES / "suite", work / "cases_suite", ignore=ignored)
        shutil.copytree(GAUGE / "suite", work / "gauge_suite", ignore=ignored)
        made[version] = folder / f"{version}.trace.jsonl.gz"
        ran = record(pythons[version], made[version], MODULES, COMMAND, work)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    return made


def verdicts(path: Path, python: Path) -> list[str]:
    """Return a line for each call of a trace on the old version of `gauge`: where it was made, and its verdict."""
    subject, trace = Subject("gauge", MODULES, COMMAND), read_trace(path)
    replay = replay_trace(subject, "old", python, path, trace, also=None, overlay=GAUGE / "old")
    calls, _ = Judge(trace).rows("old", sort_reports(replay.reports))
    return sorted(f"{row.test} {row.tier} {row.function}: {row.verdict}" for row in calls)


@pytest.fixture(scope="module")
def known(traces: dict[str, Path], pythons: dict[str, Path]) -> list[str]:
    """Return the verdicts of one Python's trace on the same Python."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("matrix.replaying.CALL_LIMIT", 1.0)
        return verdicts(traces[JUDGING], pythons[JUDGING])


@pytest.mark.slow
def test_verdicts_do_not_depend_on_the_python_that_recorded(
    traces: dict[str, Path], pythons: dict[str, Path], known: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traces of three Pythons say the same of the same environment, call by call."""
    monkeypatch.setattr("matrix.replaying.CALL_LIMIT", 1.0)
    assert len(known) > 100
    for version in set(VERSIONS) - {JUDGING}:
        assert verdicts(traces[version], pythons[JUDGING]) == known, version


@pytest.mark.slow
@pytest.mark.parametrize("version", OTHERS)
def test_verdicts_do_not_depend_on_the_python_that_replays(
    traces: dict[str, Path],
    pythons: dict[str, Path],
    known: list[str],
    version: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A trace says the same on an old and on a new Python as on its own."""
    monkeypatch.setattr("matrix.replaying.CALL_LIMIT", 1.0)
    assert verdicts(traces[JUDGING], pythons[version]) == known
