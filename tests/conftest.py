"""What tests share: a recording of the fixture package, made once for each Python."""

from typing import Any

import pytest
from recorded import VERSIONS, Suite, Trace, count, record


@pytest.fixture(scope="session", params=VERSIONS)
def suite(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Suite:
    """Return the fixture package's suite with an environment to run it in, on one Python."""
    return Suite.make(tmp_path_factory.mktemp("cases"), request.param)


@pytest.fixture(scope="session")
def cases(suite: Suite) -> Trace:
    """Return the trace of the fixture package's suite."""
    trace = suite.work.with_name("cases.trace.jsonl.gz")
    ran = record(suite.python, trace, ["cases"], ["python", *suite.arguments], suite.work)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return Trace(trace)


@pytest.fixture(scope="session")
def counts(suite: Suite) -> dict[str, dict[str, int]]:
    """Return what the oracle counts of the fixture package's suite."""
    return count(suite.python, suite.work.with_name("counts.json"), "cases", suite.arguments, suite.work)


@pytest.fixture
def calls(cases: Trace, request: pytest.FixtureRequest) -> list[str]:
    """Return the recorded calls of the case that has the test's name, a line each."""
    return cases.calls(request.function.__name__)


@pytest.fixture
def events(cases: Trace, request: pytest.FixtureRequest) -> list[Any]:
    """Return all recorded events of the case that has the test's name."""
    return cases.tests[request.function.__name__]
