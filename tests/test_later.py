"""Files of a suite that do not name the subject: recorded as those that do, and untouched where it never comes."""

import json
from pathlib import Path
from typing import Any

import pytest
from recorded import make_environment, site_packages

from matrix.recording import RecordingError, record_command
from matrix.subject import Subject
from matrix.trace import Trace, read_trace

SUBJECT = Subject("thing", ("thing",), ("pytest", "-p", "no:cacheprovider", "-p", "no:randomly"))
INSTALLED = {
    "thing.py": "class Thing:\n    def give(self): return 2\ndef make(): return Thing()\n",
    # They come to the subject when they are imported, and when they are called.
    "eager.py": "import thing\ndef through(): return thing.make()\n",
    "lazy.py": "def through():\n    import thing\n    return thing.make()\n",
}
SUITE = {
    "conftest.py": "import pytest\n@pytest.fixture\ndef two(): return lambda made: made.give() == 2\n",
    "helper.py": "def check(made):\n    assert made.give() == 2\n    return [part.give() for part in (made, made)]\n",
    "test_1_none.py": "import helper\ndef test_none(): assert helper.check\n",
    "test_2_lazy.py": (
        "import lazy, helper\n"
        "def test_first(): assert lazy.through().give() == 2\n"
        "def test_second(): assert lazy.through().give() == 2\n"
        "class TestLazy:\n    def test_method(self, two): assert two(lazy.through())\n"
        "def test_helped(): assert helper.check(lazy.through()) == [2, 2]\n"
    ),
}
EAGER = "import eager\nmade = eager.through()\ndef test_eager():\n    assert made.give() == 2\n"
Events = dict[str, list[Any]]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a Python that has the subject, and two packages that use it."""
    python = make_environment(tmp_path_factory.mktemp("later") / "venv", "3.11", "pytest>=9")
    for name, text in INSTALLED.items():
        (site_packages(python) / name).write_text(text)
    return python


def record(python: Path, folder: Path, suite: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Trace:
    """Record a suite."""
    folder.mkdir()
    for name, text in suite.items():
        (folder / name).write_text(text)
    monkeypatch.chdir(folder)
    recording = record_command(SUBJECT, str(python), folder / "trace.jsonl.gz", SUBJECT.command)
    assert (recording.status, list(recording.troubles)) == (0, [])
    return read_trace(folder / "trace.jsonl.gz")


def by_test(trace: Trace) -> Events:
    """Return the events of each test that has any."""
    found: Events = {}
    for event in trace.events:
        if event["e"] == "test":
            events = found.setdefault(event["id"].partition("::")[2], [])
        elif found:
            events.append(event)
    return {test: events for test, events in found.items() if events}


def named(suite: dict[str, str]) -> dict[str, str]:
    """Return a suite of which each file names the subject, behind its last line."""
    return {name: f"{text}# thing\n" for name, text in suite.items()}


@pytest.fixture(params=["by a call", "by an import"])
def suite(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return a suite that comes to the subject in one way or the other."""
    return SUITE if request.param == "by a call" else {**SUITE, "test_0_eager.py": EAGER}


def test_they_are_recorded_as_if_they_named_it(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suite: dict[str, str]
) -> None:
    """Calls, and what is read and checked of them; only a body that is under way then has no checks of its own."""
    late = record(python, tmp_path / "late", suite, monkeypatch)
    early = record(python, tmp_path / "early", named(suite), monkeypatch)
    found, expected = by_test(late), by_test(early)
    assert list(found) == list(expected)
    for test, events in expected.items():
        under_way = test == "test_first" and "test_0_eager.py" not in suite
        wanted = [event for event in events if not (under_way and event["e"] == "check")]
        assert found[test] == wanted, test
    assert late.end["tests"] == early.end["tests"]
    assert late.end["counts"] == early.end["counts"]
    assert imported(late) == imported(early)


def imported(trace: Trace) -> list[str]:
    """Return the imports of a trace, which the files have made whenever that is told."""
    return sorted(json.dumps(event, sort_keys=True) for event in trace.events if event["e"] == "import")


def test_a_suite_that_never_comes_to_the_subject_runs_as_it_is(
    python: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its functions have no probes."""
    code = "import helper\ndef test_code():\n    assert '@enter' not in helper.check.__code__.co_names\n"
    with pytest.raises(RecordingError, match="it exited with 0"):
        record(python, tmp_path / "never", {"helper.py": SUITE["helper.py"], "test_none.py": code}, monkeypatch)
