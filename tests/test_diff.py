"""What changed between two releases, and what of it is used."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from indexes import Index, wheel
from signature_tools import files_of, listed, names_in, names_of, release_of, write_calls
from test_predict import event

from matrix import cli
from matrix.diff import Change, compare, parameter_changes, used
from matrix.releases import ReleaseList, write_releases
from matrix.signatures import model
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import Parameter


def changed(before: Namespace, after: Namespace) -> list[Change]:
    """Compare two releases that are in memory, with their bodies."""
    bodies = {
        digest: text
        for names in (before, after)
        for source in names.release.modules.values()
        for digest, text in source.bodies.items()
    }
    return compare(before, after, bodies.__getitem__)


def lines(before: Namespace, after: Namespace) -> list[str]:
    """Return the changes as ``[!][?]kind path: detail``."""
    return [
        f"{'!' if one.breaking else ''}{'?' if one.guess else ''}{one.kind} {one.path}: {one.detail}"
        for one in changed(before, after)
    ]


def of(before: str, after: str) -> list[str]:
    """Compare two versions of a module."""
    return [line.replace("subject.", "") for line in lines(names_in(before), names_in(after))]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("def f(): pass", "def f(): pass", []),
        ("", "def f(a): pass", ["added f: (a)"]),
        ("def f(a): pass", "", ["!removed f: (a)"]),
        ("def f(): pass", "def f(a): pass", ["!parameter added f: a"]),
        ("def f(): pass", "def f(a=1): pass", ["parameter added f: a=1"]),
        ("def f(a=1): pass", "def f(): pass", ["!parameter removed f: a=1"]),
        ("def f(a=1): pass", "def f(**more): pass", ["parameter added f: **more", "parameter removed f: a=1"]),
        ("def f(a, b): pass", "def f(b, a): pass", ["!parameter reordered f: (a, b) is now (b, a)"]),
        ("def f(a): pass", "def f(b): pass", ["!parameter renamed f: a is now b"]),
        ("def f(a=1): pass", "def f(a=2): pass", ["default f: a=2 was 1"]),
        ("def f(a): pass", "def f(a=2): pass", ["default f: a=2 was required"]),
        ("def f(a=1): pass", "def f(a): pass", ["!parameter required f: a was optional (1)"]),
        ("def f(a): pass", "def f(*, a): pass", ["!parameter kind f: a was positional or keyword, is keyword-only"]),
        ("def f(*, a): pass", "def f(a): pass", ["parameter kind f: a was keyword-only, is positional or keyword"]),
        ("def f(): pass", "async def f(): pass", ["!async f: became async"]),
        ("async def f(): pass", "def f(): pass", ["!async f: is no longer async"]),
        (
            "class C:\n def f(self): pass",
            "class C:\n @property\n def f(self): pass",
            ["!kind C.f: was method, is property"],
        ),
        (
            "class C:\n def f(self): pass",
            "class C:\n @staticmethod\n def f(): pass",
            ["!kind C.f: was method, is staticmethod"],
        ),
        ("def f(): pass", "class f: pass", ["!kind f: was function, is class"]),
        (
            "class C(OSError): pass",
            "class C(ValueError): pass",
            ["!bases C: lost builtins.OSError; gained builtins.ValueError"],
        ),
        ("class C: pass", "class C(dict): pass", ["bases C: gained builtins.dict"]),
        ("class C:\n def __init__(self, a): pass", "class C:\n def __init__(self): pass", ["!parameter removed C: a"]),
        ("LIMIT = 1", "", ["!removed LIMIT: "]),
    ],
)
def test_change(before: str, after: str, expected: list[str]) -> None:
    """Each kind of change is told, and whether it breaks callers."""
    assert of(before, after) == expected


def test_parameter_pushed_in_before_others_reorders() -> None:
    """A new optional parameter in front of others moves where positional arguments land."""
    assert "!parameter reordered f: (a, b=1) is now (a, new=0, b=1)" in of(
        "def f(a, b=1): pass", "def f(a, new=0, b=1): pass"
    )


BODY = "    total = 0\n    for row in rows:\n        total += row.size\n    return total\n"


def test_renamed_by_likeness_is_a_guess() -> None:
    """A function that went while a like one came is the same under another name, perhaps."""
    assert of(f"def measure(rows):\n{BODY}", f"def total_size(rows):\n{BODY}    # now with a comment\n") == [
        "!?renamed measure: to total_size"
    ]
    changed_body = BODY.replace("return total", "return total or None")
    assert of(f"def measure(rows):\n{BODY}", f"def total_size(rows):\n{changed_body}") == [
        "!?renamed measure: to total_size"
    ]


def test_unlike_functions_are_not_renamed() -> None:
    """One function that goes and another that comes have nothing to do with each other."""
    assert of(f"def measure(rows):\n{BODY}", "def greet(name):\n    return f'hello {name}'\n") == [
        "added greet: (name)",
        "!removed measure: (rows)",
    ]


def test_members_are_told_with_their_class() -> None:
    """A class that goes takes its methods with it in one line; one that comes too."""
    text = "class C:\n def f(self): pass\n def g(self): pass\n"
    assert of(text, "") == ["!removed C: ()"]
    assert of("", text) == ["added C: ()"]


def test_moved_with_the_old_name_in_place() -> None:
    """What moved and can still be imported from where it was does not break anybody."""
    before = names_in("", old="def f(a): pass\n")
    after = names_in("", old="from new import f\n", new="def f(a, b=1): pass\n")
    assert [line for line in lines(before, after) if "old" in line] == [
        "moved old.f: to new.f, the old name leads there",
        "parameter added old.f: b=1",
    ]


def test_second_name_that_a_package_no_longer_offers() -> None:
    """What ``__init__`` no longer takes in is told, though the thing itself is where it was."""
    files = {"pkg/__init__.py": "from .core import f\n", "pkg/core.py": "def f(): pass\n"}
    before, after = Namespace(release_of(files)), Namespace(release_of({**files, "pkg/__init__.py": ""}))
    assert lines(before, after) == ["!removed pkg.f: ()"]
    assert lines(after, before) == ["added pkg.f: ()"]
    assert lines(before, before) == []


def test_moved_without_the_old_name() -> None:
    """What moved and left nothing behind breaks its callers."""
    assert lines(names_in("", old=f"def f(rows):\n{BODY}"), names_in("", old="", new=f"def f(rows):\n{BODY}")) == [
        "!moved old.f: to new.f"
    ]


def test_class_that_moved_takes_its_methods() -> None:
    """The methods of a class that moved are compared where it is now."""
    text = "class C:\n def f(self, a): pass\n def g(self): pass\n"
    after = text.replace("a)", "a, b)")
    found = lines(names_in("", old=text), names_in("", old="", new=after))
    assert found == ["!moved old.C: to new.C", "!parameter added old.C.f: b"]


def test_exception_that_moved() -> None:
    """An exception in another module is caught by other handlers only."""
    text = "class Broken(Exception): pass\n"
    assert lines(names_in("", old=text), names_in("", old="", new=text)) == [
        "!exception moved old.Broken: to new.Broken"
    ]


def test_method_that_moved_into_a_base_is_still_there() -> None:
    """Inheriting what was defined here before is a move that nobody notices."""
    before, after = names_of("inherited"), names_of("inherited", "2.0")
    found = lines(before, after)
    assert "!parameter reordered inherited.base.Base.shared: (a, b=1) is now (b=1, a=0)" in found
    assert "!parameter kind inherited.base.Base: size was positional or keyword, is keyword-only" in found
    assert "!removed inherited.base.Base.moved_down: (a)" in found


@pytest.mark.parametrize(
    "topic", ["decorators", "parameters", "aliases", "stars", "conditions", "overloads", "several"]
)
def test_release_compared_with_itself_has_no_changes(topic: str) -> None:
    """Nothing changed between a release and itself."""
    assert changed(names_of(topic), names_of(topic)) == []


def test_fixture_packages_change_as_they_were_made_to() -> None:
    """Under decorators too, and in both directions."""
    found = lines(names_of("decorators"), names_of("decorators", "2.0"))
    assert "!parameter kind decorated.api.kept: b was positional or keyword, is keyword-only" in found
    assert "!parameter reordered decorated.api.timed: (a, b) is now (b, a)" in found
    assert "!kind decorated.api.Service.static: was staticmethod, is method" in found
    assert not any("changed" in line for line in found)


@st.composite
def signatures(draw: st.DrawFn) -> tuple[Parameter, ...]:
    """Make parameters: positional ones, then keyword-only ones."""
    names = draw(st.lists(st.sampled_from("abcde"), unique=True, max_size=5))
    cut = draw(st.integers(0, len(names)))
    defaults = st.sampled_from([None, "1", "2"])
    kinds = [model.POSITIONAL if at < cut else model.KEYWORD_ONLY for at in range(len(names))]
    return tuple(Parameter(name, kind, draw(defaults)) for name, kind in zip(names, kinds, strict=True))


@given(signatures(), signatures())
def test_parameters_differ_if_and_only_if_something_is_told(
    before: tuple[Parameter, ...], after: tuple[Parameter, ...]
) -> None:
    """Any difference that a caller can see is told, and none where there is none."""
    told = parameter_changes("f", before, after)
    positional = [[one.name for one in some if one.kind == model.POSITIONAL] for some in (before, after)]
    same = set(before) == set(after) and positional[0] == positional[1]
    assert bool(told) is not same


def test_used_keeps_what_is_called() -> None:
    """Only changes of what a trace calls are kept, with the tests; a class counts for its methods."""
    changes = [
        Change("removed", "m.C", breaking=True),
        Change("removed", "m.f", breaking=True),
        Change("added", "m.C.g"),
    ]
    assert used(changes, {"m.C.run": ["t2", "t1"]}, []) == [Change("removed", "m.C", breaking=True, tests=("t1", "t2"))]


def test_parameter_change_breaks_only_calls_that_do_not_bind() -> None:
    """A parameter that no recorded call gives can go."""
    change = Change("parameter removed", "m.f", "a=1", breaking=True)
    assert used([change], {"m.f": ["t"]}, [])[0].breaking is False
    assert used([change], {"m.f": ["t"]}, ["m.f"])[0].breaking is True


# The command


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Return the options that name two releases on an index that runs, and a trace of one test."""
    monkeypatch.chdir(tmp_path)
    calls: list[dict[str, Any]] = [event(1, "parameters:required", ("a", "positional"), ("b", "defaulted"))]
    write_calls(tmp_path / "trace.gz", "parameters", calls)
    files = [wheel("parameters", version, files_of("parameters", version)) for version in ("1.0", "2.0")]
    with Index(files) as index:
        write_releases(
            tmp_path / "list.json", ReleaseList("parameters", "2026-11-20", tuple(listed(index.base, *files)))
        )
        yield ["--subject", "parameters", "--list", "list.json", "--database", "s.sqlite"]


def test_command_tells_all_changes(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Without a trace everything is told, and nothing counts as a finding."""
    assert cli.main(["diff", "1.0", "2.0", *options]) == cli.FINE
    told = capsys.readouterr().out.splitlines()
    assert "!  parameter reordered parameters.swapped: (left, right) is now (right, left)" in told
    assert "!  async               parameters.fetch: is no longer async" in told


def test_command_tells_what_is_used_and_breaks(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """What the trace calls is told with its tests, and breaking changes of it are findings."""
    assert cli.main(["diff", "1.0", "2.0", *options, "--used-by", "trace.gz"]) == cli.FINDINGS
    assert capsys.readouterr().out.splitlines() == [
        "!  parameter required  parameters.required: b was optional (1)",
        "       used by test_it.py::test_required",
    ]
    assert cli.main(["diff", "1.0", "1.0", *options, "--used-by", "trace.gz"]) == cli.FINE


def test_command_prints_json(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The same as data."""
    assert cli.main(["diff", "2.0", "1.0", *options, "--json"]) == cli.FINE
    data = json.loads(capsys.readouterr().out)
    assert (data["before"], data["after"]) == ("2.0", "1.0")
    assert {
        "kind": "async",
        "path": "parameters.fetch",
        "detail": "became async",
        "breaking": True,
        "guess": False,
        "tests": [],
    } in data["changes"]


def test_command_refuses_a_release_that_is_not_listed(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A version that is none is told in one line."""
    assert cli.main(["diff", "1.0", "9.9", *options]) == cli.USAGE
    assert "no release 9.9" in capsys.readouterr().err
