"""The recorder counts what an independent profiler counts: on the fixture package, and on ``packaging``'s own tests."""

import dataclasses
import shutil
import subprocess
from pathlib import Path

import pytest
from recorded import PYTEST, VERSIONS, Trace, count, make_environment, outside, record

RELEASE = "packaging==26.3"
REQUIRES = ("pip", "pretend", "tomli_w", "hypothesis")
# Files that take a few seconds in all; the others hold ten thousands of cases of the same functions.
FILES = (
    "test_dependency_groups.py",
    "test_direct_url.py",
    "test_elffile.py",
    "test_errors.py",
    "test_licenses.py",
    "test_manylinux.py",
    "test_musllinux.py",
    "test_pylock_select.py",
    "test_utils.py",
)


@dataclasses.dataclass(frozen=True, slots=True)
class Counted:
    """What recorder and oracle counted of one program."""

    recorded: Trace
    oracle: dict[str, dict[str, int]]


@pytest.fixture(scope="module", params=VERSIONS)
def packaging(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Counted:
    """Record and count a part of the tests in the sdist of ``packaging``, on one Python."""
    folder = tmp_path_factory.mktemp("packaging")
    python = make_environment(folder / "venv", request.param, PYTEST, RELEASE, *REQUIRES)
    cwd = unpack_sdist(python, folder / "sdist")
    arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *(f"tests/{name}" for name in FILES)]
    trace = folder / "packaging.trace.jsonl.gz"
    ran = record(python, trace, ["packaging"], ["python", *arguments], cwd)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return Counted(Trace(trace), count(python, folder / "counts.json", "packaging", arguments, cwd))


def unpack_sdist(python: Path, folder: Path) -> Path:
    """Return the folder of the release's sdist, with its tests; skips where no index can be reached."""
    command = [
        str(python),
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--no-binary",
        "packaging",
        "-d",
        str(folder),
        RELEASE,
    ]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip(f"the sdist of {RELEASE} can't be had here")
    (sdist,) = folder.glob("*.tar.gz")
    shutil.unpack_archive(sdist, folder, filter="data")
    return folder / sdist.name.removesuffix(".tar.gz")


def test_every_call_of_the_cases_is_counted(cases: Trace, counts: dict[str, dict[str, int]]) -> None:
    """Each function of the fixture package was called as often as the profiler says."""
    assert cases.counts == counts["calls"]


def test_calls_of_the_cases_from_outside(cases: Trace, counts: dict[str, dict[str, int]]) -> None:
    """As many calls came from outside of the fixture package as the profiler says."""
    assert cases.boundary == counts["boundary"]


def test_every_call_of_packaging_is_counted(packaging: Counted) -> None:
    """Each function of a package in the wild was called as often as the profiler says."""
    assert len(packaging.oracle["calls"]) > 200
    assert packaging.recorded.counts == packaging.oracle["calls"]


def test_calls_of_packaging_from_outside(packaging: Counted) -> None:
    """As many calls came from outside as the profiler says."""
    assert packaging.recorded.boundary == packaging.oracle["boundary"]


def test_every_call_from_outside_is_an_event(packaging: Counted) -> None:
    """Each call that a test made is an event of the trace, under its test."""
    events = outside([line for line in packaging.recorded.lines if "e" in line])
    stubs = sum(len(stub.get("events", [])) for event in events for stub in event.get("stubs", []))
    assert len(events) + stubs >= 0.9 * sum(packaging.oracle["boundary"].values())


def test_nothing_went_wrong(packaging: Counted) -> None:
    """The recorder met no error of its own."""
    assert [line for line in packaging.recorded.lines if line.get("e") == "trouble"] == []
