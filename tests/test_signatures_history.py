"""What became of one function from release to release."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from indexes import Index, wheel
from signature_tools import files_of, listed, release_of

from matrix import cli
from matrix.history import Entry, NoSuchFunctionError, history
from matrix.releases import ReleaseList, write_releases


def told(path: str, *versions: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return (release, changes) of a path through versions of a module."""
    releases = [release_of({"subject.py": text}, str(number)) for number, text in enumerate(versions)]
    return [(entry.release, entry.changes) for entry in history(path, releases)]


def test_only_releases_with_changes_are_told() -> None:
    """Releases in which nothing changed are passed over."""
    first, second = "def f(a): pass\n", "def f(a, b=1): pass\n"
    assert told("subject.f", first, first, second, second) == [
        ("0", ("there, as subject.f",)),
        ("2", ("parameter added: b=1",)),
    ]


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("def f(): return 1", "def f(): return 2", "body"),
        (
            "def f(): pass",
            "import functools\n@functools.cache\ndef f(): pass",
            "decorators: none is now @functools.cache",
        ),
        ("def f(): pass", "async def f(): pass", "became async"),
        ("def f(): pass", "f = lambda: None", "was function, is lambda"),
        ("def f(): pass", "", "gone"),
        ("", "def f(): pass", "there, as subject.f"),
        ("def f(): pass", "@magic\ndef f(): pass", "signature unknown: decorated with @magic"),
    ],
)
def test_change_is_told_in_words(before: str, after: str, change: str) -> None:
    """Body, decorators, kind and presence each have their word."""
    versions = [release_of({"subject.py": text}, str(number)) for number, text in enumerate([before, after])]
    present = [text for text in (before, after) if text]
    assert present
    assert change in history("subject.f", versions)[-1].changes


def test_function_that_went_and_came_back() -> None:
    """Both are told, once each."""
    text = "def f(): pass\n"
    assert [release for release, _ in told("subject.f", text, "", "", text)] == ["0", "1", "3"]


def test_function_that_moved_behind_an_alias() -> None:
    """A path that leads elsewhere since is told with the place."""
    before = release_of(files_of("aliases", "1.0"), "1.0")
    after = release_of(files_of("aliases", "2.0"), "2.0")
    entries = history("aliases.work", [before, after], {"2.0": "ok"})
    assert entries[1] == Entry(
        "2.0", ("moved from aliases._impl.work to aliases._core.work",), "(amount, fast=False)", "ok"
    )


def test_release_that_could_not_be_read_is_passed_over() -> None:
    """What is not known is not told as gone."""
    text = release_of({"subject.py": "def f(): pass\n"}, "1")
    unread = replace(release_of({}, "2"), reason="no zip file")
    assert [entry.release for entry in history("subject.f", [text, unread, text])] == ["1"]


def test_function_that_no_release_has() -> None:
    """A name that is nowhere is an error that says what a name looks like."""
    with pytest.raises(NoSuchFunctionError, match="give a definition path"):
        history("subject.nothing", [release_of({"subject.py": ""})])


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the options that name two releases on an index that runs, and a replay of them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "matrix.csv").write_text(
        "function,tier,profiles,calls,unreplayable,1.0,2.0\nparameters.required,boundary,default,1,0,ok,signature\n"
    )
    files = [wheel("parameters", version, files_of("parameters", version)) for version in ("1.0", "2.0")]
    with Index(files) as index:
        write_releases(
            tmp_path / "list.json", ReleaseList("parameters", "2026-11-20", tuple(listed(index.base, *files)))
        )
        yield ["--subject", "parameters", "--list", "list.json", "--database", "s.sqlite", "--results", "results"]


def test_command_prints_the_verdict_beside(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A line a release with verdict and signature, and its changes below."""
    assert cli.main(["history", "parameters.required", *options]) == cli.FINE
    assert capsys.readouterr().out.splitlines() == [
        "1.0          ok             (a, b=1)",
        "  there, as parameters.required",
        "2.0          signature      (a, b)",
        "  parameter required: b was optional (1)",
    ]


def test_command_prints_json(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The same as data."""
    assert cli.main(["history", "parameters.required", *options, "--json"]) == cli.FINE
    assert json.loads(capsys.readouterr().out)["releases"][1]["verdict"] == "signature"


def test_command_without_a_replay(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without results there are no verdicts, and all else."""
    Path("results", "matrix.csv").unlink()
    assert cli.main(["history", "parameters.keywords", *options]) == cli.FINE
    assert capsys.readouterr().out.splitlines()[0] == "1.0                         (a, *, b, c=3)"


def test_command_with_an_unknown_function(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A name that is nowhere is told in one line."""
    assert cli.main(["history", "parameters.nothing", *options]) == cli.USAGE
    assert "no release has parameters.nothing" in capsys.readouterr().err
