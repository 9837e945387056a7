"""What a replay imports: alone, with what the suite needs besides, and once for several traces."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from recorded import make_environment, site_packages

from matrix.agent.contents import held
from matrix.agent.sharing import become
from matrix.recording import record_command
from matrix.replaying import replay_release
from matrix.subject import Subject
from matrix.trace import read_trace, write_trace

SERVICES = """
import contextlib
from matrix.services import Services

@contextlib.contextmanager
def services(profile):
    yield Services(env={"PLACE": profile})
"""
SUITE = "import place\ndef test_place(): place.name(), place.imported()\n"
CALLS = "def name(): return {name}\ndef imported(): return IMPORT\n"
START = "import os\nIMPORT = os.urandom(8).hex()\n"
EXTRA = "try:\n    import extra\nexcept ImportError:\n    extra = None\n"
ASKED = "from importlib.metadata import distributions\nextra = 'extra' in [found.name for found in distributions()]\n"
NAMED = (
    "from importlib import metadata\n"
    "try:\n    extra = metadata.version('extra')\nexcept metadata.PackageNotFoundError:\n    extra = None\n"
)

# Replays the traces of both profiles, in one Python or in one each; returns, by profile, how the package imports alone
# and what each function gave.
Replay = Callable[..., Mapping[str, tuple[str, Mapping[str, Any]]]]


@pytest.fixture
def replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Replay:
    """Return a function that records a package of this text, and replays it in two profiles."""
    python = make_environment(tmp_path / "venv", "3.11", "pytest>=9")
    package = site_packages(python) / "place.py"
    work, trace, also = tmp_path / "work", tmp_path / "one.trace.jsonl.gz", tmp_path / "also"
    for folder in (work, also / "extra-1.0.dist-info"):
        folder.mkdir(parents=True)
    (work / "test_place.py").write_text(SUITE)
    (also / "extra.py").write_text("")
    (also / "extra-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: extra\nVersion: 1.0\n")
    services = tmp_path / "services.py"
    services.write_text(SERVICES)
    subject = Subject("place", ("place",), ("pytest", "-p", "no:cacheprovider"), services=services)

    def run(text: str, *, thrifty: bool = True, name: str = "os.environ['PLACE']") -> Mapping[str, Any]:
        package.write_text(f"{START}{text}{CALLS.format(name=name)}")
        monkeypatch.chdir(work)
        monkeypatch.setenv("PLACE", "here")
        monkeypatch.setenv("PYTHONPATH", str(also))
        assert record_command(subject, str(python), trace, subject.command).status == 0
        found = read_trace(trace)
        other = tmp_path / "two.trace.jsonl.gz"
        header = {name: value for name, value in found.header.items() if name != "trace"}
        blobs = [{"def": "blob", "id": digest, **held(data)} for digest, data in found.blobs.items()]
        write_trace(other, {**header, "profile": "two"}, [*blobs, *found.definitions, *found.events, found.end])
        profiles = replay_release(
            subject, "1", python, [trace, other], also=also, checked=tmp_path / "checked", thrifty=thrifty
        )
        functions = {call["id"]: call["function"] for _, call in found.calls()}
        return {
            profile: (
                made["plain_import"],
                {functions[told["call"]]: told["outcome"]["return"] for told in made["reports"] if "outcome" in told},
            )
            for profile, made in profiles.items()
        }

    return run


def names(found: Mapping[str, tuple[str, Mapping[str, Any]]]) -> list[Any]:
    """Return what ``name()`` gave in each profile."""
    return [calls["place.name"] for _, calls in found.values()]


def imports(found: Mapping[str, tuple[str, Mapping[str, Any]]]) -> int:
    """Return how often the package was imported for what is replayed."""
    return len({calls["place.imported"] for _, calls in found.values()})


def test_traces_of_one_of_many_releases_share_what_was_imported(replay: Replay) -> None:
    """The package is imported once, and what it asks for when it is called is its profile's own."""
    found = replay("")
    assert names(found) == ["default", "two"]
    assert imports(found) == 1


def test_traces_of_one_release_are_replayed_at_the_same_time(replay: Replay) -> None:
    """Each with imports of its own."""
    found = replay("", thrifty=False)
    assert names(found) == ["default", "two"]
    assert imports(found) == 2


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("NAME = os.environ['PLACE']\n", "NAME"),
        ("NAME = os.getenv('PLACE', '')\n", "NAME"),
        ("NAME = dict(os.environ)\n", "NAME['PLACE']"),
        ("NAME = os.environ.copy()\n", "NAME['PLACE']"),
        ("NAME = os.environb[b'PLACE'].decode()\n", "NAME"),
        ("with open(os.path.expanduser('~/made'), 'w') as file:\n    file.write('')\n", "os.environ['PLACE']"),
        (f"{EXTRA}NAME = os.environ['PLACE']\n", "NAME"),
    ],
)
def test_imports_that_can_tell_profiles_apart_are_made_for_each(replay: Replay, text: str, name: str) -> None:
    """A variable that was read while the package was imported, or a file that it made, is each profile's own."""
    found = replay(text, name=name)
    assert names(found) == ["default", "two"]
    assert imports(found) == 2


@pytest.mark.parametrize("thrifty", [True, False])
@pytest.mark.parametrize(("text", "alone"), [("import extra\n", "extra"), (EXTRA, ""), (ASKED, ""), (NAMED, "")])
def test_what_the_suite_needs_besides_is_no_part_of_a_plain_import(
    replay: Replay,
    text: str,
    alone: str,
    thrifty: bool,  # noqa: FBT001
) -> None:
    """A package that cannot do without says so; in the replay it is there, whichever way it was looked for."""
    found = replay(text, thrifty=thrifty, name="bool(extra)")
    assert names(found) == [True, True]
    for problem, _ in found.values():
        assert alone in problem
        assert bool(problem) == bool(alone)


def test_nothing_of_one_profile_is_left_for_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three in a row: variables, those that hide another value too, redirects and files."""
    monkeypatch.chdir(tmp_path)
    before = {"HIDDEN": "before"}
    monkeypatch.setenv("HIDDEN", "one")
    monkeypatch.setenv("OWN", "one")
    roots = {"work": str(tmp_path / "work")}
    one: dict[str, Any] = {"environment": {"HIDDEN": "one", "OWN": "one"}, "redirects": {"a:1": "b"}, "roots": roots}
    two: dict[str, Any] = {"environment": {"OWN": "two", "OTHER": "two"}, "redirects": {"c:1": "d"}, "roots": roots}
    three: dict[str, Any] = {"environment": {}, "redirects": {}, "roots": roots}
    followed = one["redirects"]
    become(one, two, before)
    assert [os.environ.get(name) for name in ("HIDDEN", "OWN", "OTHER")] == ["before", "two", "two"]
    assert followed == {"c:1": "d"}
    Path("made").touch()
    become(two, three, before)
    assert [os.environ.get(name) for name in ("HIDDEN", "OWN", "OTHER")] == ["before", None, None]
    assert followed == {}
    assert list(Path(roots["work"]).iterdir()) == []
