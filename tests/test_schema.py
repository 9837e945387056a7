"""What a trace may hold: every kind of line and of value; all else is refused, with the line and the reason."""

import json
from pathlib import Path
from typing import Any

import pytest
from lines import END, HEADER, Json, begins, blob, call, check, problem, sha256, stub
from recorded import Suite, Trace

from matrix.schema import Checker
from matrix.trace import read_trace

TRACES = sorted(Path(__file__).parent.parent.glob("traces/*.trace.jsonl.gz"))
FILE = {"e": "files", "changes": {"{work}/a/b.txt": ["file", sha256(b"x"), False]}}
CLASS = {"def": "class", "id": 3, "name": "C", "bases": [{"$symbol": "pkg:Base"}], "body": {"f": {"$stub": 1}}}
INST = {"def": "inst", "id": 4, "class": {"$class": 3}, "state": {"a": 1}}
MOCK = {"def": "mock", "id": 5, "class": "Mock", "state": {"return_value": 3}}
STATE = blob(b'{"generation":1}')
RAISED = {"type": "pkg:Error", "mro": ["builtins:Exception"], "args": ["no"], "str": "no"}


@pytest.mark.parametrize("trace", TRACES, ids=lambda path: path.name)
def test_recorded_trace(trace: Path) -> None:
    """The traces that are kept here are valid."""
    assert read_trace(trace).end


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1 << 70,
        1.5,
        "text",
        [1, [2]],
        {"a": {"b": 1}},
        {"$tmpl": "{tmp}/a{{b}}"},
        {"$bytes": "aGk="},
        {"$float": "nan"},
        {"$tuple": [1]},
        {"$set": []},
        {"$frozenset": [1]},
        {"$dict": [[1, {"$tuple": []}]]},
        [{"$cycle": 1}],
        {"a": [{"$cycle": 2}]},
        {"$std": "Decimal", "args": ["1.5"]},
        {"$std": "Ellipsis", "args": []},
        {"$std": "exception", "type": "ValueError", "args": ["no"]},
        {"$std": "defaultdict", "args": [{"$symbol": "builtins:list"}, {}]},
        {"$symbol": "pkg.a:B.c"},
        {"$symbol": "re:RegexFlag.IGNORECASE|MULTILINE"},
        {"$symbol": "os:"},
        {"$opaque": "socket.socket"},
        {"$bound": "write", "on": {"$symbol": "pkg:B"}},
        {"$join": ["a", {"$ref": 1}]},
        {"$make": "pkg:Point", "args": [1, 2]},
        {"$new": "pkg:B", "args": [{"name": "a", "form": "keyword", "value": 1}], "state": {"a": 2}, "bare": True},
        {"$file": {"$tmpl": "{work}/a"}, "mode": "rb", "at": 3},
        {"$ref": 1},
        {"$ref": 1, "path": [["a", "headers"], ["k", "x"], ["k", 0]]},
        {"$ref": 1, "path": [["x", 0], ["a", "args"]]},
        {"$ref": 1, "path": [["y", 2], ["a", "name"]]},
        {"$std": "Logger", "args": ["pkg", 10, True, [{"$opaque": "x"}]]},
        {"$std": "LogRecord", "args": ["pkg", 10, "%d", {"$tuple": [1]}]},
        {"$duck": "requests.sessions.Session", "attrs": {"trust_env": True}},
        {"$std": "TarInfo", "args": [{"name": "a", "size": 1}]},
    ],
    ids=str,
)
def test_argument(value: Json) -> None:
    """Every kind of value that a replay makes again is accepted."""
    assert problem(call(1), call(2, value)) == ""


@pytest.mark.parametrize(
    "value",
    [
        {"$obj": "pkg:B", "state": {"a": [1]}, "data": [2]},
        {"$obj": "generator"},
        {"$obj": "pkg:Color", "name": "RED"},
        {"$duck": "requests.models.Response", "attrs": {"status_code": 200}},
        {"$exception": RAISED},
        {"$symbol": "tests.test_a:test_a.<locals>.f"},
        {"$ref": 1},
    ],
    ids=str,
)
def test_look(value: Json) -> None:
    """Every kind of value that is only compared is accepted as a result."""
    assert problem(call(1), call(2, result=value)) == ""


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"$source": "1 + 1"}, "the value '$source' is not known here"),
        ({"$obj": "pkg:B"}, "the value '$obj' is not known here"),
        ({"$tuple": [1], "x": 1}, "a $tuple with the unknown key 'x'"),
        ({"$tuple": "ab"}, "a $tuple: '$tuple' is of the wrong type"),
        ({"$tmpl": "{tmp"}, "a $tmpl with a stray brace: '{tmp'"),
        ({"$tmpl": "{a b}"}, "a $tmpl with a stray brace: '{a b}'"),
        ({"$bytes": "a"}, "a $bytes is no base64"),
        ({"$float": "1.5"}, "a $float that is none: '1.5'"),
        ({"$dict": [[1]]}, "a $dict that is no list of pairs"),
        ({"$cycle": 1}, "a $cycle that leads out of its value: 1"),
        ([{"$cycle": 2}], "a $cycle that leads out of its value: 2"),
        ([{"$cycle": 0}], "a $cycle that leads out of its value: 0"),
        ([{"$cycle": True}], "a $cycle: '$cycle' is of the wrong type"),
        ({"$std": "Popen", "args": []}, "the standard type 'Popen' is not known"),
        ({"$std": "Decimal"}, "a $std without 'args'"),
        ({"$std": "Decimal", "args": [], "type": "x"}, "only an exception has a type, and must have one"),
        ({"$symbol": "os.system"}, "a $symbol is malformed: 'os.system'"),
        ({"$make": "os:system", "args": ["ls"]}, "a $make is not the subject's: 'os:system'"),
        ({"$new": "os:Popen", "args": []}, "a $new is not the subject's: 'os:Popen'"),
        ({"$file": {"$ref": 1}, "mode": "r", "at": -1}, "the place in a $file must be a number from 0 on, not -1"),
        ({"$file": "x", "mode": "evil", "at": 0}, "a $file of the mode 'evil'"),
        ({"$text": "beef"}, "a $text is malformed: 'beef'"),
        ({"$ref": 0}, "a $ref must be a number from 1 on, not 0"),
        ({"$ref": 1.5}, "a $ref: '$ref' is of the wrong type"),
        ({"$ref": 1, "path": [["a"]]}, "a path of a $ref must be steps of [kind, key]"),
        ({"$ref": 1, "path": [["a", 1]]}, "a path of a $ref with the step ['a', 1]"),
        ({"$ref": 1, "path": [["k", 0], ["x", 0]]}, "a path of a $ref with the step ['x', 0]"),
        ({"$ref": 1, "path": [["k", 0], ["y", 2]]}, "a path of a $ref with the step ['y', 2]"),
        ({"$stub": "1"}, "a $stub: '$stub' is of the wrong type"),
    ],
)
def test_bad_argument(value: Json, reason: str) -> None:
    """A value that is not of the format is refused."""
    assert problem(call(1), call(2, value)) == f"3: {reason}"


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ([call(1, {"$ref": 1})], "2: the call 1 refers to a call that does not come before it"),
        ([call(2, {"$ref": 1}), call(1)], "2: a reference to call 1, which comes later"),
        ([call(2, {"$ref": 1})], "2: a reference to call 1, which is not in the trace"),
        ([call(1), call(1)], "3: the call 1 is there twice"),
        ([check({"v": 1}, 7)], "2: a reference to call 7, which is not in the trace"),
        ([call(1, {"$stub": 1})], "2: a reference to the stub 1, which is not defined"),
        ([call(1, {"$stub": 1}), stub(1)], "2: a reference to the stub 1, which is not defined"),
        ([stub(1), call(1, {"$class": 1})], "3: a reference to the class 1, which is not defined"),
        ([stub(1), stub(1)], "3: the number 1 is defined twice"),
        ([CLASS, call(1)], "2: a reference to the stub 1, which is not defined"),
        ([call(1, {"$text": "0" * 64})], f"2: a reference to the content {'0' * 64}, which is not defined"),
        ([FILE], f"2: a reference to the content {sha256(b'x')}, which is not defined"),
        ([{"e": "next", "call": 3, "outcome": {"yield": 1}}], "2: a reference to call 3, which is not in the trace"),
    ],
)
def test_unknown_ids(lines: list[Any], reason: str) -> None:
    """What is named must be there, and before its use; the line that names it is told."""
    assert problem(*lines) == reason


def test_ids_of_one_recording() -> None:
    """Definitions may name each other and contents that follow, as long as all comes before the next event."""
    lines = [CLASS, stub(1, defaults=[{"$inst": 4}]), {**INST, "state": {"t": {"$text": sha256(b"x")}}}, blob(b"x")]
    assert problem(*lines, call(1, {"$inst": 4}, {"$class": 3}, {"$text": sha256(b"x")})) == ""


def test_call_under_way() -> None:
    """A call that was made in a stub can be named by a line that comes before the call that the stub served."""
    inner = {"stub": 1, "values": {"a": 1}, "events": [call(2)], "outcome": {"return": {"$ref": 2}}}
    assert problem(stub(1), call(3, {"$ref": 2}), call(1, {"$stub": 1}, stubs=[inner])) == ""


def test_a_copy_can_be_named() -> None:
    """A copy has a number of its own, that later events name as they do a call's."""
    pickled = {"e": "copy", "id": 2, "how": "pickle", "of": {"$ref": 1}}
    again = {"e": "copy", "id": 3, "how": "unpickle", "of": {"$ref": 2}}
    assert problem(call(1), pickled, again, call(4, {"$ref": 3})) == ""
    assert problem(call(1), again) == "3: a reference to call 2, which is not in the trace"


def test_lost_by_the_recorder() -> None:
    """After a trouble of the recorder's, what it lost may be missing."""
    trouble = {"e": "trouble", "what": "ValueError: no", "where": "values.py:1"}
    assert problem(trouble, call(2, {"$ref": 1}, {"$stub": 7})) == ""


@pytest.mark.parametrize(
    "line",
    [
        begins(),
        {
            "e": "import",
            "file": "tests/a.py",
            "module": "pkg.a",
            "names": ["B", "*"],
            "optional": False,
            "subject": True,
            "used": ["B"],
        },
        {"e": "read", "path": "pkg.a:B"},
        {"e": "env", "changes": {"A": "1", "B": None, "C": {"$tmpl": "{tmp}"}}},
        {"e": "cwd", "path": {"$tmpl": "{work}/a"}},
        {"e": "patch", "target": {"$symbol": "pkg:"}, "name": "x", "value": 1},
        {"e": "patch", "target": {"$symbol": "pkg:"}, "name": "x", "undo": True},
        {"e": "patch", "target": {"$symbol": "pkg:"}, "name": "x", "deleted": True},
        {"e": "files", "changes": {"{tmp}/a": ["dir"], "{home}/b": None, "{work}/c/d": ["link", "../e"]}},
        {"e": "check", "calls": [], "whole": True, "why": "a format"},
        check({"op": "==", "args": [{"get": {"v": 1}, "a": "x"}, {"get": {"v": []}, "k": {"v": 0}}]}),
        check({"get": {"read": "pkg:X"}, "s": [{"v": None}, {"v": 1}, {"v": None}]}),
        check({"call": "os.path.exists", "args": [{"v": "a"}]}),
        {"e": "clock", "id": 1, "of": "time.monotonic_ns"},
        check({"op": "<", "args": [{"call": "time.time", "args": []}, {"v": 5}]}),
        check({"method": "get", "args": [{"v": {}}, {"v": 1}], "kwargs": {"default": {"v": 1}}}),
        call(1, kind="method", access={"receiver": {"$symbol": "pkg:A"}, "name": "f"}),
        call(1, kind="property", access={"receiver": {"$symbol": "pkg:A.x"}, "name": "f", "part": "fset"}),
        call(1, kind="method", access={"receiver": {"$opaque": "x"}, "name": "f", "class": "pkg:A"}),
        call(1, access={"opaque": "a function inside of pkg.f"}),
        call(1, kind="constructor", access={"class": {"$symbol": "pkg:A"}}),
        call(1, access={"path": "pkg.a:<lambda>"}),
        call(1, outcome={"raise": RAISED}, expect=[{"types": ["pkg:Error"], "match": "n."}, {"types": []}]),
        call(1, kind="generator", outcome={"closed": True}, via="context"),
        call(1, effects={"args": {"items": [1, {"$obj": "pkg:A"}]}}),
        call(2, tier="inner", within=1, n=3, files={"{tmp}/a": None}, services={}),
        call(1, effects={"files": {"{tmp}/a": None}, "env": {"A": None}, "cwd": {"$tmpl": "{tmp}"}}),
    ],
    ids=json.dumps,
)
def test_event(line: Json) -> None:
    """Every kind of event is accepted."""
    assert problem(line) == ""


def test_definitions() -> None:
    """Every kind of definition is accepted, and may be used."""
    content = {"def": "content", "id": f"sha256:{sha256(b'hi')}", "data": "aGk="}
    member = {**CLASS, "id": 6, "body": {"x": {"$member": "property", "of": {"$stub": 1}}, "y": 1}}
    thrown = {
        "e": "next",
        "call": 1,
        "thrown": {"$std": "exception", "type": "ValueError", "args": []},
        "outcome": {"return": 1},
    }
    used = call(1, {"$stub": 1}, {"$class": 3}, {"$inst": 4}, {"$mock": 5})
    mocked = [{"mock": 5, "name": "a.b", "args": [1], "kwargs": {"c": 2}}]
    service = {"e": "service", "name": "registry", "state": STATE["id"]}
    parent, drawn = (
        {**MOCK, "id": 8, "children": {"log": {"$mock": 5}}},
        {"words": STATE["id"], "at": 624, "aside": 0.5},
    )
    lines = [content, stub(), CLASS, member, INST, {**INST, "id": 7, "data": [1]}, MOCK, parent, STATE, used]
    assert (
        problem(
            *lines,
            service,
            {**thrown, "random": drawn},
            call(2, random=drawn, mocks=mocked, effects={"services": {"registry": STATE["id"]}}),
        )
        == ""
    )


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ({"x": 1}, "neither a definition nor an event"),
        ({"e": "exec", "code": "1"}, "the event 'exec' is not known here"),
        ({"e": ["call"]}, "the event ['call'] is not known here"),
        ({"def": "code", "id": 1}, "the definition 'code' is not known"),
        ({"def": {}, "id": 1}, "the definition {} is not known"),
        ({"e": "test"}, "a test without 'id'"),
        ({"e": "test", "id": "a", "x": 1}, "a test with the unknown key 'x'"),
        ({"e": "read", "path": "os:system"}, "a read is not the subject's: 'os:system'"),
        ({"e": "read", "path": "pkg"}, "a read is malformed: 'pkg'"),
        (call(1, access={"path": "os:system"}), "the access of a call is not the subject's: 'os:system'"),
        (call(1, access={"path": "pkgs:f"}), "the access of a call is not the subject's: 'pkgs:f'"),
        (
            call(1, access={"receiver": {"$symbol": "io:"}, "name": "open"}),
            "what a call is made on is not the subject's: 'io:'",
        ),
        (
            call(1, access={"receiver": {"$std": "Path", "args": ["x"]}, "name": "unlink"}),
            "a call on what is not the subject's",
        ),
        (call(1, access={"receiver": "abc", "name": "upper"}), "a call on what is not the subject's"),
        (
            call(1, access={"object": {"$symbol": "os:system"}}),
            "what a call is made on is not the subject's: 'os:system'",
        ),
        (call(1, access={"object": {"$bound": "f", "on": {"$mock": 1}}}), "a call on what is not the subject's"),
        (
            call(1, access={"receiver": {"$opaque": ""}, "name": "f", "class": "os:x"}),
            "the class of a receiver is not the subject's: 'os:x'",
        ),
        (call(1, access={}), "the access of a call must be one of path, object, opaque, class, or receiver and name"),
        (
            call(1, access={"path": "pkg:f", "name": "f"}),
            "the access of a call must be one of path, object, opaque, class, or receiver and name",
        ),
        (call(1, kind="macro"), "the kind of a call is not known: 'macro'"),
        (call(1, tier="inner"), "an inner call, and no other, must say within which call it was made"),
        ({**call(1), "id": True}, "a call: 'id' is of the wrong type"),
        (call(1 << 60), f"the number of a call must be a number from 1 on, not {1 << 60}"),
        (call(1, outcome={}), "an outcome must be one of return, yield, raise, closed"),
        (call(1, outcome={"return": 1, "yield": 1}), "an outcome must be one of return, yield, raise, closed"),
        (call(1, outcome={"raise": {"type": "x"}}), "an exception without 'mro'"),
        (call(1, expect=[{"types": [], "match": "("}]), "an expectation with a broken pattern: '('"),
        (call(1, args=[{"name": "a", "form": "packed", "value": 1}]), "the form of an argument is not known: 'packed'"),
        (call(1, args=[1]), "an argument must be an object"),
        (call(1, stubs=[{"stub": 0, "values": {}, "events": [begins()]}]), "the event 'test' is not known here"),
        ({"e": "env", "changes": {"A=B": "1"}}, "a variable is malformed: 'A=B'"),
        ({"e": "env", "changes": {"A": [1]}}, "the variable A must be a text"),
        ({"e": "env", "changes": {"A": "\0"}}, "the variable A must be a text"),
        ({"e": "cwd", "path": 3}, "a working directory must be a text"),
        (
            {"e": "patch", "target": {"$symbol": "pkg:"}, "name": "x"},
            "a patch must have one of value, deleted and undo",
        ),
        (
            {"e": "import", "file": "a", "module": "os; x", "names": [], "optional": True, "subject": True},
            "a module is malformed: 'os; x'",
        ),
        (
            {
                "e": "import",
                "file": "a",
                "module": "pkg",
                "names": ["x"],
                "optional": False,
                "subject": True,
                "used": ["y"],
            },
            "an import that uses what it does not import",
        ),
        ({**CLASS, "names": {"x": {"$new": 1}}}, "a $new: '$new' is of the wrong type"),
        ({"e": "check", "calls": []}, "a check must have a tree, or be whole and say why"),
        (check({"call": "eval", "args": [{"v": "1"}]}), "the call of a comparison is not known: 'eval'"),
        (check({"call": "iter", "args": [{"v": 1}, {"v": 2}]}), "iter() of a comparison takes one argument"),
        (check({"op": "if", "args": [{"v": 1}, {"v": 2}]}), "an if of a comparison takes three arguments"),
        (check({"method": "unlink", "args": [{"v": 1}]}), "the method of a comparison is not known: 'unlink'"),
        (check({"method": "get", "args": []}), "a method of a comparison without an object"),
        (check({"op": "@", "args": []}), "the op of a comparison is not known: '@'"),
        (check({"get": {"v": 1}}), "a get must have one of a, k and s"),
        (check({"clock": 7}), "the reading 7 of the clock, which was not taken"),
        (check({"clock": "now"}), "a clock in a comparison: 'clock' is of the wrong type"),
        ({"e": "copy", "id": 2, "how": "steal", "of": {"$ref": 1}}, "how a copy is made is not known: 'steal'"),
        ({"e": "copy", "id": 2, "how": "unpickle", "of": {"$bytes": ""}}, "a copy of what no call gave"),
        ({"e": "copy", "id": 2, "how": "copy", "of": {"$ref": 2}}, "the copy 2 is of what comes later"),
        ({"e": "clock", "id": 1, "of": "time.sleep"}, "the clock is not known: 'time.sleep'"),
        (check({"lambda": 1}), "the comparison {'lambda': 1} is not known"),
        (check({"read": "os:environ"}), "a read in a comparison is not the subject's: 'os:environ'"),
        (stub(names=["a", "a"]), "parameters of a stub that are keywords, or the same"),
        (stub(names=["a", "def"]), "parameters of a stub that are keywords, or the same"),
        (stub(names=["a", "b): pass\nimport os\ndef g("]), "a parameter is malformed: 'b): pass\\nimport os\\ndef g('"),
        (stub(names=["a"]), "a stub whose parameters do not add up"),
        (stub(defaults=[1, 2, 3]), "a stub with defaults of parameters that it has not"),
        (stub(kind="macro"), "the kind of a stub is not known: 'macro'"),
        ({**CLASS, "body": {"f": {"$member": "slot", "of": 1}}}, "a $member is not known: 'slot'"),
        ({**MOCK, "state": {"wraps": 1}}, "the state of a mock with the unknown key 'wraps'"),
        ({**MOCK, "children": {"log": {"$stub": 1}}}, "the value '$stub' is not known here"),
        (call(1, random={"words": "x", "at": 0}), "the words of random numbers is malformed: 'x'"),
        (call(1, random={"words": sha256(b"x"), "at": 625}), "a state of random numbers that is at none of its words"),
        ({**blob(b"x"), "id": sha256(b"y")}, "a blob whose content is not that of its digest"),
        ({"def": "blob", "id": "x", "data": "a"}, "a blob is no base64"),
        ({"def": "content", "id": "sha256:x", "data": ""}, "a content that is not that of its digest"),
        ({"e": "end", "counts": {"f": [1]}, "tests": {}}, "counts must be [all, boundary]"),
        ({"e": "end", "counts": {}, "tests": {"a": 1}}, "the outcome of a test must be a text"),
    ],
)
def test_bad_line(line: Json, reason: str) -> None:
    """A line that is not of the format is refused, with the reason in one sentence."""
    assert problem(line) == f"2: {reason}"


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "{work}",
        "{work}/",
        "{work}//a",
        "{work}/../a",
        "{work}/a/../../b",
        "{work}/./a",
        "{tmp}/a\0b",
        "{site}/a",
        "{tmp}/" + "a" * 5000,
        "a",
    ],
)
def test_path_that_leaves(name: str) -> None:
    """A file's name may not leave the working folders."""
    assert "a file outside of the working folders" in problem({"e": "files", "changes": {name: ["dir"]}})


@pytest.mark.parametrize("target", ["/etc/passwd", "../../a", "b/../../../a", "", "a\0", ".."])
def test_link_that_leaves(target: str) -> None:
    """A link must lead to something in its own folder."""
    found = problem({"e": "files", "changes": {"{work}/d/link": ["link", target]}})
    assert ("a link that leaves its folder" in found) == (target != "..")


@pytest.mark.parametrize("entry", [[], ["file"], ["file", sha256(b""), 1], ["link"], ["pipe"], 3, "dir", ["dir", 1]])
def test_file_that_is_none(entry: Json) -> None:
    """An entry must be a folder, a link or a file with its content."""
    assert "a file that is none" in problem({"e": "files", "changes": {"{work}/a": entry}})


def test_state_that_is_none() -> None:
    """The state of a service must be a JSON object, since the service reads it."""
    state = blob(b"[1]")
    found = problem(state, {"e": "service", "name": "registry", "state": state["id"]})
    assert found.startswith("3: the state of a service that is no JSON object")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"trace": True}, "a header: 'trace' is of the wrong type"),
        ({"modules": []}, "a header must name modules, and a command in words"),
        ({"modules": ["a.b"]}, "a module is malformed: 'a.b'"),
        ({"command": [1]}, "a header must name modules, and a command in words"),
        ({"suite": "../other"}, "a suite outside of the working folder: '../other'"),
        ({"suite": "/other"}, "a suite outside of the working folder: '/other'"),
        ({"extra": 1}, "a header with the unknown key 'extra'"),
    ],
)
def test_bad_header(changes: dict[str, Any], reason: str) -> None:
    """A header of another form is refused."""
    assert Checker().check({**HEADER, **changes}) == reason


def test_recorded_cases(suite: Suite, cases: Trace) -> None:
    """Whatever the recorder writes of the fixture package is valid, on each Python."""
    assert cases.lines
    assert read_trace(suite.work.with_name("cases.trace.jsonl.gz")).end


def test_message_is_short() -> None:
    """A long piece of a file is shortened in the message, and holds nothing that a terminal would obey."""
    found = problem({"e": "\x1b[31m" + "x" * 10_000})
    assert len(found) < 200
    assert "\x1b" not in found


def test_empty_trace() -> None:
    """A header and an end are a trace."""
    checker = Checker()
    assert [checker.check(HEADER), checker.check(END)] == ["", ""]
