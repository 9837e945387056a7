"""Predictions: how recorded arguments bind, what a call reaches, and how often that is right."""

import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from indexes import Index, wheel
from signature_tools import files_of, listed, release_of, write_calls

from matrix import cli
from matrix.accuracy import read_scores
from matrix.grid import Grid, GridError, GridRow, read_grid, render_grid
from matrix.predict import cells, predict, recorded_calls
from matrix.prediction_scores import comparable, disagreements, next_newer, score, table
from matrix.releases import ReleaseList, write_releases
from matrix.rows import CallRow
from matrix.signatures import model
from matrix.signatures.binding import Argument, bind, read_arguments
from matrix.signatures.model import Parameter

KINDS = dict(zip(inspect._ParameterKind, model.PARAMETER_KINDS, strict=True))


def parameters_of(function: Callable[..., object]) -> tuple[Parameter, ...]:
    """Return a function's parameters as the interpreter has them."""
    read = inspect.signature(function).parameters.values()
    return tuple(Parameter(one.name, KINDS[one.kind], None if one.default is one.empty else "x") for one in read)


def args(*positional: str, **keywords: str) -> tuple[Argument, ...]:
    """Return arguments that met parameters of these names; ``name=form`` gives any other form than positional."""
    return (*(Argument(name, "positional") for name in positional), *(Argument(*one) for one in keywords.items()))


def function(written: str) -> Callable[..., object]:
    """Make a function with these parameters."""
    made: Callable[..., object] = eval(f"lambda {written}: None")
    return made


# Binding


@pytest.mark.parametrize(
    ("written", "arguments", "verdict"),
    [
        ("a, b", args("a", "b"), "ok"),
        ("a", args("a", "b"), "signature"),
        ("a, *rest", args("a", "b"), "ok"),
        ("a, b", args("a"), "signature"),
        ("a, b=1", args("a"), "ok"),
        ("a, *, b", args("a", b="keyword"), "ok"),
        ("a, *, b", args("a", "b"), "signature"),
        ("a, *, b", args("a"), "signature"),
        ("a, /", args(a="keyword"), "signature"),
        ("a, **more", args("a", z="keyword"), "ok"),
        ("a, /, **more", (Argument("a", "positional"), Argument("a", "keyword")), "ok"),
        ("a, b", (Argument("a", "positional"), Argument("a", "keyword")), "signature"),
        ("a", args("a", z="keyword"), "signature"),
        ("b, a", args("a", "b"), "shifted"),
        ("new, a, b=1", args("a", "b"), "shifted"),
        ("new, c", args("a", "b"), "ok"),
        ("renamed, b", args("a", "b"), "ok"),
        ("b", args("a", b="defaulted"), "ok"),
        ("a, b", args(b="keyword", a="keyword"), "ok"),
        ("a, b=1", args("a", b="defaulted"), "ok"),
        ("a", args("a", b="defaulted"), "ok"),
        ("*args, **kwargs", args("a", b="keyword"), "ok"),
        ("", (), "ok"),
    ],
)
def test_binding(written: str, arguments: tuple[Argument, ...], verdict: str) -> None:
    """Arguments in their recorded form bind, do not bind, or land on another parameter."""
    assert bind(parameters_of(function(written)), arguments).verdict == verdict


WRITTEN = st.sampled_from(
    ["", "a", "a, b", "a, b=1", "a, /, b", "a, *, b", "a, *, b=1", "*args", "a, *args, b", "**kwargs", "b, a", "a, /"],
) | st.sampled_from(["a=1, /, b=2, **kwargs", "a, b, c=1", "*, a, b=1"])


@given(WRITTEN, st.integers(0, 4), st.sets(st.sampled_from(["a", "b", "c"])))
def test_binding_agrees_with_the_interpreter(written: str, count: int, keywords: set[str]) -> None:
    """Whatever is given to whatever function: it binds here if and only if it binds there."""
    target = function(written)
    arguments = args(*["?"] * count, **dict.fromkeys(sorted(keywords), "keyword"))
    try:
        target(*range(count), **dict.fromkeys(keywords, 1))
    except TypeError:
        expected = False
    else:
        expected = True
    assert (bind(parameters_of(target), arguments).verdict != "signature") is expected


def test_unknown_forms_are_given_by_position() -> None:
    """What was passed through ``*args`` or C goes by position, and by name after one that was left out."""
    recorded = [("a", "unknown"), ("b", "defaulted"), ("c", "unknown")]
    read = read_arguments({"name": name, "form": form} for name, form in recorded)
    assert read == args("a", b="defaulted", c="keyword")


# Calls


def event(identity: int, path: str, *given: tuple[str, str], kind: str = "function", **facts: object) -> dict[str, Any]:
    """Return a recorded call: by its path, with arguments of (name, form)."""
    module, _, qualname = path.partition(":")
    made: dict[str, Any] = {
        "e": "call",
        "id": identity,
        "tier": "boundary",
        "function": f"{module}.{qualname}",
        "module": module,
        "qualname": qualname,
        "kind": kind,
        "access": {"path": path},
        "args": [{"name": name, "form": form, "value": 1} for name, form in given],
        "outcome": {"return": None},
        "usage": "whole",
    }
    return {**made, **facts}


def verdicts(files: Mapping[str, str], *events: Mapping[str, Any]) -> list[str]:
    """Predict calls on a release of these sources."""
    rows = predict(release_of(files), recorded_calls("default", [{"e": "test", "id": "t"}, *events]))
    return [row.verdict for row in rows]


def detail(files: Mapping[str, str], *events: Mapping[str, Any]) -> str:
    """Return the reason that is given for the last call."""
    rows = predict(release_of(files), recorded_calls("default", events))
    return rows[-1].detail


@pytest.mark.parametrize(
    ("path", "given", "verdict"),
    [
        ("parameters:swapped", [("left", "positional"), ("right", "positional")], "shifted"),
        ("parameters:renamed", [("old", "positional")], "ok"),
        ("parameters:renamed", [("old", "keyword")], "signature"),
        ("parameters:required", [("a", "positional"), ("b", "defaulted")], "signature"),
        ("parameters:keywords", [("a", "positional"), ("b", "keyword")], "signature"),
        ("parameters:positional", [("a", "positional"), ("c", "keyword")], "ok"),
        ("parameters:limited", [("data", "positional"), ("limit", "defaulted")], "ok"),
        ("parameters:gone", [], "missing"),
        ("nowhere:gone", [], "unknown"),
        ("parameters.sub:gone", [], "missing"),
    ],
)
def test_call_on_the_next_release(path: str, given: Sequence[tuple[str, str]], verdict: str) -> None:
    """The recorded form of a call is bound to what the other release has by that path."""
    assert verdicts(files_of("parameters", "2.0"), event(1, path, *given)) == [verdict]


def test_method_is_found_on_what_its_receiver_is_there() -> None:
    """A receiver is what its constructor's spelling leads to in that release, with its own methods."""
    made = event(1, "shop:Client", kind="constructor")
    called = event(
        2,
        "shop.core:Registry.push",
        ("a", "positional"),
        kind="method",
        access={"receiver": {"$ref": 1}, "name": "push"},
    )
    alias = {
        "shop/__init__.py": "from .core import Registry as Client\n",
        "shop/core.py": "class Registry:\n def push(self, a): pass\n",
    }
    wrapper = {"shop/__init__.py": "class Client:\n def push(self): pass\n", "shop/core.py": alias["shop/core.py"]}
    assert verdicts(alias, made, called) == ["ok", "ok"]
    assert verdicts(wrapper, made, called) == ["ok", "signature"]
    assert verdicts({"shop/__init__.py": "", "shop/core.py": ""}, made, called) == ["missing", "missing"]


def test_receiver_that_is_not_known_goes_by_the_definition() -> None:
    """What another call gave is taken to be of the class that the method was defined in."""
    called = event(
        2, "shop:C.run", kind="method", access={"receiver": {"$ref": 1, "path": [["a", "x"]]}, "name": "run"}
    )
    assert verdicts({"shop.py": "class C:\n def run(self): pass\n"}, called) == ["ok"]
    assert verdicts({"shop.py": "class C: pass\n"}, called) == ["missing"]


def test_method_of_a_base_that_the_receiver_inherits() -> None:
    """A method may move into a base class without anybody noticing."""
    made, called = (
        event(1, "shop:C", kind="constructor"),
        event(2, "shop:C.run", kind="method", access={"receiver": {"$ref": 1}, "name": "run"}),
    )
    assert verdicts({"shop.py": "class B:\n def run(self): pass\nclass C(B): pass\n"}, made, called) == ["ok", "ok"]


def test_class_methods_static_methods_and_properties() -> None:
    """What is taken off a class gets no receiver, a property takes no arguments."""
    text = "class C:\n @classmethod\n def make(cls, a): pass\n @staticmethod\n def help(a): pass\n"
    text += " @property\n def size(self): pass\n"
    given = ("a", "positional")
    made = event(
        1, "shop:C.make", given, kind="classmethod", access={"receiver": {"$symbol": "shop:C"}, "name": "make"}
    )
    helped = event(2, "shop:C.help", given)
    sized = event(3, "shop:C.size", kind="property", access={"receiver": {"$ref": 9}, "name": "size"})
    assert verdicts({"shop.py": text}, made, helped, sized) == ["ok", "ok", "ok"]
    plain = text.replace("@staticmethod\n def help(a)", "@property\n def help(self)")
    assert verdicts({"shop.py": plain}, helped) == ["ok"]


def test_objects_that_a_call_needs_must_be_there() -> None:
    """A receiver or an argument that is made of a class which the release lacks makes the call impossible."""
    made = {"$new": "shop:Basket", "args": [{"name": "a", "form": "positional", "value": {"$symbol": "shop:limit"}}]}
    called = event(1, "shop:f", kind="function")
    called["args"] = [{"name": "a", "form": "positional", "value": [made]}]
    method = event(2, "shop:Basket.fill", kind="method", access={"receiver": {**made, "args": []}, "name": "fill"})
    text = "def f(a): pass\nclass Basket:\n def fill(self): pass\n"
    assert verdicts({"shop.py": text + "limit = 1\n"}, called, method) == ["ok", "ok"]
    assert verdicts({"shop.py": text}, called, method) == ["missing", "ok"]
    assert verdicts({"shop.py": "def f(a): pass\n"}, called, method) == ["missing", "missing"]
    assert detail({"shop.py": "def f(a): pass\n"}, called) == "no shop.Basket"


def test_state_that_an_object_had_can_be_left_out() -> None:
    """What lay in an object is set only where the release has a place for it."""
    held = {"$new": "shop:Basket", "args": [], "state": {"owner": {"$new": "shop:Owner", "args": []}}}
    method = event(1, "shop:Basket.fill", kind="method", access={"receiver": held, "name": "fill"})
    assert verdicts({"shop.py": "class Basket:\n def fill(self): pass\n"}, method) == ["ok"]


def test_super_calls_go_to_the_class_that_is_named() -> None:
    """A call that skips a class in the order says which class it meant."""
    called = event(1, "shop:B.run", kind="method", access={"receiver": {"$ref": 9}, "name": "run", "class": "shop:B"})
    assert verdicts({"shop.py": "class B: pass\nclass C(B):\n def run(self): pass\n"}, called) == ["missing"]


def test_import_that_fails_is_an_import_error() -> None:
    """A module that imports what is neither declared nor beside it takes its functions with it."""
    files = {"shop.py": "import boto3\ndef f(): pass\n"}
    assert verdicts(files, event(1, "shop:f")) == ["import-error"]
    assert detail(files, event(1, "shop:f")) == "shop imports boto3, which it does not declare"
    rows = predict(release_of(files), recorded_calls("p", [event(1, "shop:f")]), ("boto3",))
    assert rows[0].verdict == "ok"


def test_unknown_says_why() -> None:
    """Where reading does not tell the reason is given."""
    files = {"shop.py": "@magic\ndef f(): pass\n"}
    assert verdicts(files, event(1, "shop:f")) == ["unknown"]
    assert "decorated with @magic" in detail(files, event(1, "shop:f"))


def test_release_that_could_not_be_read_is_unknown() -> None:
    """Of a release without sources nothing is predicted."""
    release = replace(release_of({}), reason="it is no zip file")
    (row,) = predict(release, recorded_calls("p", [event(1, "shop:f")]))
    assert (row.verdict, row.detail) == ("unknown", "it is no zip file")


def test_function_whose_callee_is_missing_does_not_work() -> None:
    """What a function always calls must be there; what it calls under a condition, or in a try, need not."""
    text = "import other\ndef f():\n return g()\ndef g():\n other.gone()\ndef h(a):\n if a:\n  other.gone()\n"
    files = {"shop.py": text, "other.py": ""}
    assert verdicts(
        {"shop.py": "import os, hashlib\ndef f():\n hashlib.sha256()\n os.close()\n"}, event(1, "shop:f")
    ) == ["ok"]
    assert verdicts(files, event(1, "shop:f"), event(2, "shop:g"), event(3, "shop:h", ("a", "positional"))) == [
        "missing",
        "missing",
        "ok",
    ]
    assert detail(files, event(1, "shop:f")) == "shop.f calls other.gone, which is not there"


def test_recursion_reaches_nothing_new() -> None:
    """Functions that call each other are followed once."""
    assert verdicts({"shop.py": "def f(): g()\ndef g(): f()\n"}, event(1, "shop:f")) == ["ok"]


def test_cell_is_the_worst_of_its_calls() -> None:
    """As in the matrix; inner calls of a boundary function and unknown ones do not count beside others."""

    def row(call: int, verdict: str, tier: str = "boundary", name: str = "f") -> CallRow:
        return CallRow("1", "p", "t", call, tier, name, verdict, verdict)

    rows = [
        row(1, "ok"),
        row(2, "signature"),
        row(3, "unknown"),
        row(4, "missing", "inner"),
        row(5, "unknown", name="g"),
    ]
    assert cells(rows) == {("f", "1"): ("signature", "signature"), ("g", "1"): ("unknown", "unknown")}


# Scores


def grid(*rows: str, releases: str = "1 2 3") -> Grid:
    """Return a table of ``name verdict verdict ...`` lines."""
    split = [row.split() for row in rows]
    columns = releases.split()
    found = {(name, release): verdict for name, *said in split for release, verdict in zip(columns, said, strict=True)}
    return Grid(tuple(GridRow(name, "boundary", "p", "1", "0") for name, *_ in split), tuple(columns), found)


def test_scores_are_counted_from_cells() -> None:
    """Precision, recall and F1 of "does not work", over all cells and over those that change."""
    replayed = grid("f missing ok ok", "g changed ok ok", "h signature signature unreplayable")
    predicted = grid("f missing missing ok", "g ok ok ok", "h unknown signature ok")
    scored = score(predicted, replayed)
    found = scored["does_not_work"]["predictions"]["all_cells"]
    assert (found["precision"]["numerator"], found["precision"]["denominator"]) == (2, 3)
    assert (found["recall"]["numerator"], found["recall"]["denominator"]) == (2, 3)
    assert found["f1"]["share"] == pytest.approx(2 / 3, abs=1e-6)
    assert scored["cells"] == {"compared": 8, "changes": 2}
    assert scored["confusion"]["ok"] == {"changed": 1, "ok": 3}


def test_guesses_that_cost_nothing() -> None:
    """Always "ok" finds nothing; "as on the next newer release" finds nothing among the cells that change."""
    replayed = grid("f missing missing ok")
    scored = score(grid("f missing missing ok"), replayed)["does_not_work"]
    assert scored["always_ok"]["all_cells"]["recall"]["share"] == 0
    assert scored["same_as_next_newer"]["all_cells"]["recall"]["share"] == 0.5
    assert scored["same_as_next_newer"]["changed_cells"]["f1"]["share"] == 0
    assert scored["predictions"]["changed_cells"]["f1"]["share"] == 1


def test_cells_that_replay_cannot_judge_are_left_out() -> None:
    """There is nothing to compare with where replay says nothing; the guess goes on past them."""
    replayed = grid("f missing install-error ok", "g ok unreplayable missing")
    assert comparable(replayed, replayed) == [("f", "1"), ("f", "3"), ("g", "1"), ("g", "3")]
    assert next_newer(replayed)["g", "1"] == "missing"


@pytest.mark.parametrize(
    ("said", "true", "kind"),
    [
        ("ok", "ok", None),
        ("ok", "differs", None),
        ("ok", "changed", "behaviour"),
        ("ok", "blocked", "blocked"),
        ("ok", "import-error", "environment"),
        ("ok", "missing", "dynamic name"),
        ("ok", "signature", "dynamic signature"),
        ("missing", "ok", "dynamic name"),
        ("shifted", "ok", "dynamic signature"),
        ("missing", "signature", "other verdict"),
        ("missing", "blocked", "other verdict"),
        ("unknown", "ok", "not readable"),
    ],
)
def test_disagreements_are_explained_by_kind(said: str, true: str, kind: str | None) -> None:
    """Each cell that disagrees has one kind of reason."""
    found = disagreements(grid(f"f {said}", releases="1"), grid(f"f {true}", releases="1"))
    assert [one.kind for one in found] == ([kind] if kind else [])


def test_table_shows_predictions_beside_the_guesses() -> None:
    """The summary's table has a line per guess and kind of cells."""
    lines = table(score(grid("f missing ok ok"), grid("f missing ok ok"))).splitlines()
    assert len(lines) == 8
    assert lines[2].startswith("| predictions | all cells (3) | 100.0 % | 100.0 % | 100.0 % |")


names = st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=8)


@given(
    st.dictionaries(names, st.lists(st.sampled_from(["ok", "missing"]), min_size=2, max_size=2), min_size=1, max_size=4)
)
def test_grid_comes_back_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[str, list[str]]
) -> None:
    """Whatever a function is called, its row survives the file."""
    cells_found = {(name, release): said[at] for name, said in rows.items() for at, release in enumerate("12")}
    written = Grid(tuple(GridRow(name, "inner", "", "1", "0") for name in rows), ("1", "2"), cells_found)
    path = tmp_path_factory.getbasetemp() / "grid.csv"
    path.write_bytes(render_grid(written))
    assert read_grid(path) == written


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n", b"\xff\xfe", b"function,tier,profiles,calls,unreplayable,1\nf,boundary\n"]
)
def test_file_that_is_no_grid(tmp_path: Path, content: bytes) -> None:
    """Any other file is refused with what to do."""
    path = tmp_path / "matrix.csv"
    path.write_bytes(content)
    with pytest.raises(GridError, match="no table of verdicts"):
        read_grid(path)


# The command


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with a trace, a list of releases and a subject, on an index that runs."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text(
        'name = "parameters"\nmodules = ["parameters"]\ncommand = ["pytest"]\n[profiles.default]\n'
    )
    calls = [
        event(1, "parameters:required", ("a", "positional"), ("b", "defaulted")),
        event(2, "parameters:renamed", ("new", "positional")),
    ]
    write_calls(tmp_path / "traces" / "parameters-1.0-default.trace.jsonl.gz", "parameters", calls)
    return tmp_path


@pytest.fixture
def options(workplace: Path) -> Iterator[list[str]]:
    """Return the options that name what the workplace has; the index runs while the test does."""
    files = [wheel("parameters", version, files_of("parameters", version)) for version in ("1.0", "2.0")]
    with Index(files) as index:
        write_releases(
            workplace / "traces" / "parameters.releases.json",
            ReleaseList("parameters", "2026-11-20", tuple(listed(index.base, *files))),
        )
        yield ["--subject", f"{workplace / 'mine.toml'}", "--database", f"{workplace / 's.sqlite'}"]


def test_command_writes_predictions(options: list[str], workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a replay there are predictions, and a word on how to get scores."""
    assert cli.main(["predict", *options, "--no-pictures"]) == cli.FINE
    assert (workplace / "results/parameters/predictions.csv").read_text() == (
        "function,tier,profiles,calls,unreplayable,1.0,2.0\n"
        "parameters.renamed,boundary,default,1,0,ok,ok\n"
        "parameters.required,boundary,default,1,0,ok,signature\n"
    )
    assert "run `nox -s matrix` first" in capsys.readouterr().out


def test_command_scores_and_draws(options: list[str], workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With a replay there are scores, the cells that disagree, and two pictures; twice the same bytes."""
    folder = workplace / "results/parameters"
    folder.mkdir(parents=True)
    header = "function,tier,profiles,calls,unreplayable,1.0,2.0\n"
    (folder / "matrix.csv").write_text(
        f"{header}parameters.required,boundary,default,1,0,ok,signature\nparameters.renamed,boundary,default,1,0,ok,raised\n"
    )
    assert cli.main(["predict", *options]) == cli.FINE
    made = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert "| predictions | all cells (4) | 100.0 % | 100.0 % | 100.0 % |" in capsys.readouterr().out
    assert made["disagreements.csv"].decode().splitlines()[1:] == ["parameters.renamed,2.0,ok,raised,behaviour"]
    assert {"predictions.png", "predictions.svg", "disagreements.png", "disagreements.svg"} <= made.keys()
    assert (
        read_scores(folder / "accuracy.json")["predictions"]["does_not_work"]["predictions"]["all_cells"]["f1"]["share"]
        == 1
    )
    assert cli.main(["predict", *options, "--json"]) == cli.FINE
    assert json.loads(capsys.readouterr().out)["cells"] == {"compared": 4, "changes": 1}
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == made


def test_command_without_a_trace(options: list[str], workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A trace that is not there is told, with how to record one."""
    for trace in (workplace / "traces").glob("*.gz"):
        trace.unlink()
    assert cli.main(["predict", *options]) == cli.USAGE
    assert "caliper-matrix record" in capsys.readouterr().err
