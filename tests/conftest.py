"""What tests share: a recording of the fixture package, made once for each Python."""

import shutil
from typing import Any

import pytest
from recorded import CASES, PYTEST, VERSIONS, Trace, install_cases, make_environment, record


@pytest.fixture(scope="session", params=VERSIONS)
def cases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    """Return the trace of the fixture package's suite on one Python."""
    folder = tmp_path_factory.mktemp("cases")
    python = make_environment(folder / "venv", request.param, PYTEST)
    install_cases(python)
    shutil.copytree(CASES / "suite", folder / "work" / "suite", ignore=shutil.ignore_patterns("__pycache__"))
    command = ["python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", "suite"]
    ran = record(python, folder / "cases.trace.jsonl.gz", ["cases"], command, folder / "work")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return Trace(folder / "cases.trace.jsonl.gz")


@pytest.fixture
def calls(cases: Trace, request: pytest.FixtureRequest) -> list[str]:
    """Return the recorded calls of the case that has the test's name, a line each."""
    return cases.calls(request.function.__name__)


@pytest.fixture
def events(cases: Trace, request: pytest.FixtureRequest) -> list[Any]:
    """Return all recorded events of the case that has the test's name."""
    return cases.tests[request.function.__name__]
