"""``caliper-matrix trace show``: what a trace holds, in words and as data."""

import base64
import json
from pathlib import Path

import pytest
from lines import END, HEADER, Json, Line, begins, blob, call, check, pack, sha256, stub

from matrix import cli
from matrix.contents import look_through
from matrix.spelling import spell, spell_event, spell_tree
from matrix.trace import read_trace

TOKEN = "ghp_" + "a1" * 18
TEST = "tests/test_a.py::test_a"
KEPT: Line = {"def": "content", "id": f"sha256:{sha256(b'held')}", "data": base64.b64encode(b"held").decode()}
LINES = [
    blob(b"x" * 2000),
    KEPT,
    begins(),
    {"e": "files", "changes": {"{work}/big.txt": ["file", sha256(b"x" * 2000), False]}},
    {"e": "env", "changes": {"HOMEPAGE": "x"}},
    call(1, "a", result={"b": 1}),
    call(2, {"$ref": 1, "path": [["k", "b"]]}, effects={"env": {"LEVEL": "2"}}),
    check({"op": "==", "args": [{"v": {"$ref": 2}}, {"v": None}]}, 2),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a small trace."""
    return pack(tmp_path / "t.trace.jsonl.gz", [HEADER, *LINES, END])


def test_show(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The header, counts, tests, and what would be published come in words."""
    assert cli.main(["trace", "show", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "pkg 1.2, profile default, on Python 3.11.7"
    assert "events: 2 call, 1 test, 1 files, 1 env, 1 check" in lines
    assert "boundary calls: 2 of 1 functions" in lines
    assert f"  {TEST}  passed, 2 calls" in lines
    assert "  contents: 2, 2,004 bytes; the largest are" in lines
    assert "         2,000  {work}/big.txt" in lines
    assert "  variables that were set: HOMEPAGE, LEVEL" in lines
    assert lines[-1] == "  texts that look like secrets: none"


def test_show_as_data(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same comes as JSON."""
    assert cli.main(["trace", "show", str(path), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["header"] == HEADER
    assert shown["functions"] == {"boundary": {"pkg.f": 2}, "inner": {}}
    assert [content["size"] for content in shown["contents"]] == [2000, 4]


@pytest.mark.parametrize("wanted", [TEST, "test_a"])
def test_show_test(path: Path, capsys: pytest.CaptureFixture[str], wanted: str) -> None:
    """The events of one test are spelled as people write them."""
    assert cli.main(["trace", "show", str(path), "--test", wanted]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "files: {work}/big.txt file",
        'env: HOMEPAGE="x"',
        '#1 pkg:f("a") -> {b: 1}',
        "#2 pkg:f(#1['b']) -> None",
        '    env: LEVEL="2"',
        "check of #2: #2 == None",
    ]


def test_show_unknown_test(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A test that the trace does not hold is told in one line."""
    assert cli.main(["trace", "show", str(path), "--test", "nowhere"]) == 2
    assert "holds no test 'nowhere'" in capsys.readouterr().err


def test_show_no_trace(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is no trace is told in one line."""
    assert cli.main(["trace", "show", str(tmp_path / "no.gz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (call(1, TOKEN), ("call 1 of pkg.f", "a token of GitHub")),
        (call(1, {"password": "hunter2"}), ("call 1 of pkg.f", "something called password")),
        (
            call(1, args=[{"name": "api_key", "form": "keyword", "value": "k"}]),
            ("call 1 of pkg.f", "something called api_key"),
        ),
        (call(1, result="https://ada:pw@example.org/"), ("call 1 of pkg.f", "credentials in an address")),
        ({"e": "env", "changes": {"MY_TOKEN": "t"}}, ("an event env", "something called MY_TOKEN")),
        (stub(1, defaults=[TOKEN]), ("the stub 1", "a token of GitHub")),
        (
            blob(b"-----BEGIN RSA PRIVATE KEY-----"),
            (f"the content {sha256(b'-----BEGIN RSA PRIVATE KEY-----')[:16]}", "a private key"),
        ),
    ],
    ids=str,
)
def test_secrets(tmp_path: Path, line: Line, told: tuple[str, str]) -> None:
    """What looks like a secret is named with where it stands, and is itself not repeated."""
    found = look_through(read_trace(pack(tmp_path / "t.gz", [HEADER, line, END])))
    assert found.secrets == (told,)


@pytest.mark.parametrize(
    "value", [{"password": None}, {"password": "***"}, {"token": {"$tmpl": "{tmp}"}}, "Basic", {"tokens": []}]
)
def test_no_secret(tmp_path: Path, value: Json) -> None:
    """What is empty, starred or a template is no secret."""
    assert look_through(read_trace(pack(tmp_path / "t.gz", [HEADER, call(1, value), END]))).secrets == ()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        ("a", '"a"'),
        ([1, {"$tuple": [2]}], "[1, tuple(2)]"),
        ({"$tmpl": "{tmp}/a"}, '"{tmp}/a"'),
        ({"$symbol": "pkg:A"}, "pkg:A"),
        ({"$ref": 3, "path": [["a", "b"], ["k", 0]]}, "#3.b[0]"),
        ({"$std": "Decimal", "args": ["1"]}, 'Decimal("1")'),
        ({"$std": "exception", "type": "KeyError", "args": [1]}, "KeyError(1)"),
        ({"$new": "pkg:A", "args": [{"name": "a", "form": "keyword", "value": 1}]}, "pkg:A(a=1)"),
        ({"$bound": "f", "on": {"$ref": 1}}, "#1.f"),
        ({"$obj": "pkg:A", "state": {"a": 1}}, "<obj pkg:A>"),
        ({"$inst": 3}, "<inst 3>"),
        ("x" * 100, '"' + "x" * 58 + "…"),
    ],
    ids=str,
)
def test_spelled_value(value: Json, text: str) -> None:
    """Each kind of value has a short spelling."""
    assert spell(value) == text


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        ({"get": {"v": {"$ref": 1}}, "a": "x"}, "#1.x"),
        ({"get": {"v": {"$ref": 1}}, "k": {"v": 0}}, "#1[0]"),
        ({"op": "not", "args": [{"read": "pkg:X"}]}, "not pkg:X"),
        ({"call": "len", "args": [{"v": []}]}, "len([])"),
        ({"method": "get", "args": [{"v": {}}, {"v": 1}], "kwargs": {"d": {"v": 2}}}, "{}.get(1, d=2)"),
    ],
    ids=str,
)
def test_spelled_check(tree: Json, text: str) -> None:
    """A check reads as an expression."""
    assert spell_tree(tree) == text


def test_spelled_events() -> None:
    """Calls show their forms, what they raised, and what they called back."""
    forms = [
        {"name": n, "form": f, "value": 1}
        for n, f in zip("abcd", ("positional", "keyword", "defaulted", "unknown"), strict=True)
    ]
    raised = {"raise": {"type": "pkg:Error", "mro": [], "args": ["no"]}}
    answered = [{"stub": 3, "values": {"a": 1}, "events": [call(2)], "outcome": {"return": 2}}]
    made = call(1, args=forms, outcome=raised, stubs=answered, access={"receiver": {"$ref": 9}, "name": "go"})
    assert list(spell_event(made)) == [
        '#1 #9.go(1, b=1, [c=1], d?=1) raises Error("no")',
        "    calls back stub 3(a=1) -> 2",
        "        #2 pkg:f() -> None",
    ]
    assert list(spell_event({"e": "next", "call": 1, "outcome": {"yield": 2}})) == ["next of call 1 yields 2"]
    patch = {"e": "patch", "target": {"$symbol": "pkg:A"}, "name": "x", "value": 1}
    assert list(spell_event(patch)) == ["patch pkg:A.x = 1"]
