"""Each verdict of one call, by what was recorded and what the replay reports."""
# ruff: noqa: E501 # a case, a line

from typing import Any

import pytest
from lines import Json, call

from matrix.verdict import Judgement, judge, judge_steps, short

ERROR = {"type": "pkg:Error", "mro": ["builtins:ValueError"], "args": ["no"], "str": "no"}
OTHER = {"type": "pkg:Other", "mro": [], "args": ["off"], "str": "off"}
THING = {"$obj": "pkg:Thing", "state": {"a": 1, "b": 2}}
DATA = ["a", {"b": 1}]
FILES = {"files": {"{tmp}/a": ["file", "0" * 64, False]}}


def report(outcome: Json = None, **changes: Json) -> dict[str, Any]:
    """Return what the agent reports of a call that returned something."""
    return {"call": 1, "outcome": {"return": outcome}, **changes}


def raised(error: Json, **changes: Json) -> dict[str, Any]:
    """Return what the agent reports of a call that raised."""
    return {"call": 1, "outcome": {"raise": {**error, **changes}}}


RECORDED = call(1, result=DATA)
WHOLE = call(1, result=DATA, usage="whole")
OBJECT = call(1, result=THING, usage="whole")
RAISES = call(1, outcome={"raise": ERROR})
EXPECTS = call(1, outcome={"raise": ERROR}, expect=[{"types": ["builtins:ValueError"]}])
WRITES = call(1, result=DATA, effects=FILES)
WRITES_BY_CHANCE = call(1, result=DATA, effects={"files": {"{tmp}/abcd_123/x": ["dir"]}})
CALLS_BACK = call(1, result=DATA, stubs=[{"stub": 3, "values": {}}, {"stub": 4, "values": {}}])
YIELDS = call(1, outcome={"yield": 1})

CASES: list[tuple[str, Json, Json, str, str]] = [
    ("the same", RECORDED, report(DATA), "ok", ""),
    ("the same exception", RAISES, raised(ERROR), "ok", ""),
    ("the same file", WRITES, report(DATA, effects=FILES), "ok", ""),
    ("the same calls back", CALLS_BACK, report(DATA, stubs=[3, 4]), "ok", ""),
    ("another random name", call(1, result="{tmp}/abcd_123"), report("{tmp}/zzzzzzzz"), "ok", ""),
    ("a number of another type", call(1, result=1), report(1.0), "ok", ""),
    ("a truth value for a number", call(1, result=1, usage="whole"), report(result := True), "changed", f"gives {result}, the recording 1"),
    ("data that nobody compared", RECORDED, report(["a"]), "differs", "gives ['a'], the recording ['a', {'b': 1}]"),
    ("state that nobody compared", OBJECT, report({**THING, "state": {"a": 2}}), "differs", "the result differs at return/state/a, return/state/b"),
    ("another text of an exception", RAISES, raised(ERROR, args=["x"], str="x"), "differs", "raises Error: x"),
    ("another exception that is expected", EXPECTS, raised(OTHER, expected=True), "differs", "raises Other: off"),
    ("a temporary name that is gone", WRITES_BY_CHANCE, report(DATA), "differs", "effects differ: files/{tmp}/{random}/x"),
    ("data that was used whole", WHOLE, report(["a"]), "changed", "gives ['a'], the recording ['a', {'b': 1}]"),
    ("fewer objects than were used whole", call(1, result=[THING, THING], usage="whole"), report([THING]), "changed", "the result differs at return"),
    ("nothing for objects that were used whole", call(1, result=[THING], usage="whole"), report(None), "changed", "the result differs at return"),
    ("a name among objects that were used whole", call(1, result={"a": [THING]}, usage="whole"), report({"b": [THING]}), "changed", "the result differs at return/a, return/b"),
    ("state of objects in a list that was used whole", call(1, result=[THING], usage="whole"), report([{**THING, "state": {"a": 2}}]), "differs", "the result differs at return/0/state/a, return/0/state/b"),
    ("a number for an object that is this number", call(1, result={**THING, "data": 3}, usage="whole"), report(3), "differs", "the result differs at return"),
    ("another number for it", call(1, result={**THING, "data": 3}, usage="whole"), report(4), "changed", "the result differs at return"),
    ("objects that nobody counted", call(1, result=[THING]), report([]), "differs", "the result differs at return"),
    ("a yield for a return", YIELDS, report(1), "changed", "gives None, the recording 1"),
    ("a file that is not written", WRITES, report(DATA), "changed", "effects differ: files/{tmp}/a"),
    ("another content", WRITES, report(DATA, effects={"files": {"{tmp}/a": ["file", "1" * 64, False]}}), "changed", "effects differ: files/{tmp}/a/1"),
    ("a variable that is set", RECORDED, report(DATA, effects={"env": {"A": "1"}}), "changed", "effects differ: env/A"),
    ("a function that is not called", CALLS_BACK, report(DATA, stubs=[3]), "changed", "calls the caller's functions differently"),
    ("functions called in another order", CALLS_BACK, report(DATA, stubs=[4, 3]), "changed", "calls the caller's functions differently"),
    ("an exception", RECORDED, raised(ERROR), "raised", "raises Error: no"),
    ("no exception", RAISES, report(DATA), "raised", "raises nothing, the recording Error"),
    ("another exception", RAISES, raised(OTHER), "raised", "raises Other: off, the recording Error"),
    ("an exception that is not expected", EXPECTS, raised(ERROR), "raised", "raises Error: no, which the caller does not expect"),
    ("another parameter", RECORDED, report(DATA, shifted="a lands on b"), "shifted", "a lands on b"),
    ("no report", RECORDED, None, "unreplayable", "the replay did not reach this call"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("recorded", "reported", "verdict", "detail"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_verdict(recorded: Json, reported: Json, verdict: str, detail: str) -> None:
    """A recorded call and its replay give one verdict, with the reason in words."""
    assert judge(recorded, reported) == Judgement(verdict, detail)


@pytest.mark.parametrize(
    "verdict", ["missing", "signature", "blocked", "timeout", "crash", "import-error", "unreplayable"]
)
def test_verdict_of_the_agent(verdict: str) -> None:
    """What got no outcome at all is judged where it is replayed."""
    assert judge(RECORDED, {"call": 1, "verdict": verdict, "detail": "why"}) == Judgement(verdict, "why")


STEP = {"outcome": {"yield": 2}}
STEPS: list[tuple[str, Json, Json, bool, str, str]] = [
    ("the same item", STEP, {"outcome": {"yield": 2}}, True, "ok", ""),
    ("another item that nobody compared", STEP, {"outcome": {"yield": 3}}, False, "differs", "going on: gives 3, the recording 2"),
    ("another item of a loop", STEP, {"outcome": {"yield": 3}}, True, "changed", "going on: gives 3, the recording 2"),
    ("an end too soon", STEP, {"outcome": {"return": None}}, False, "changed", "going on: gives None, the recording 2"),
    ("an item too many", {"outcome": {"return": None}}, {"outcome": {"yield": 3}}, False, "changed", "going on: gives None, the recording None"),
    ("an exception", STEP, raised(ERROR), False, "raised", "going on: raises Error: no"),
    ("no exception", {"outcome": {"raise": ERROR}}, {"outcome": {"return": None}}, False, "raised", "going on: raises nothing, the recording Error"),
    ("a file that is not written", {**STEP, "effects": FILES}, STEP, False, "changed", "going on: effects differ: files/{tmp}/a"),
    ("what cannot be replayed", STEP, {"verdict": "unreplayable", "detail": "why"}, False, "unreplayable", "going on: why"),
    ("an exception while it is closed", {"outcome": {"closed": True}}, raised(ERROR), True, "ok", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("recorded", "reported", "whole", "verdict", "detail"),
    [case[1:] for case in STEPS],
    ids=[case[0] for case in STEPS],
)
def test_verdict_of_a_step(recorded: Json, reported: Json, whole: bool, verdict: str, detail: str) -> None:  # noqa: FBT001
    """What became of going on with a call counts where that is worse than what the call gave."""
    made = judge_steps(Judgement("ok"), YIELDS, [(STEP, STEP), (recorded, reported)], (), whole=whole)
    assert made == Judgement(verdict, detail)


def test_a_call_that_does_not_work_needs_no_steps() -> None:
    """Its own verdict stands."""
    missing = Judgement("missing", "pkg has no f")
    assert judge_steps(missing, YIELDS, [(STEP, raised(ERROR))], (), whole=False) == missing


def test_masks_of_steps() -> None:
    """A masked field of one step is not compared there, and in another it is."""
    steps = [(STEP, {"outcome": {"yield": 3}})]
    masks = [["steps/1/outcome/yield"], ["steps/2/outcome/yield"]]
    found = [judge_steps(Judgement("ok"), YIELDS, steps, paths, whole=True).verdict for paths in masks]
    assert found == ["ok", "changed"]


def test_failed_check() -> None:
    """Where the caller's own comparison no longer holds, the call is changed, even if its result looks the same."""
    failed = [{"check": 3, "held": False, "detail": "1 == 2 no longer holds"}]
    assert judge(RECORDED, report(DATA), failed=failed) == Judgement(
        "changed", "the caller's check fails: 1 == 2 no longer holds"
    )


def test_raised_before_failed_check() -> None:
    """A call that raised is told so: that its check fails as well is no news."""
    assert judge(RECORDED, raised(ERROR), failed=[{"held": False}]).verdict == "raised"


def test_looked_at_whole() -> None:
    """A result that was looked at in a way that no check expresses counts as used whole."""
    assert judge(RECORDED, report(["a"]), whole=True).verdict == "changed"
    assert judge(RECORDED, report(["a"]), whole=False).verdict == "differs"


@pytest.mark.parametrize(
    ("masks", "verdict"),
    [
        (["outcome/return/1/b"], "ok"),
        (["outcome/return/1"], "ok"),
        (["outcome/return/1/c"], "differs"),
        (["outcome/return/1/bb"], "differs"),
        (["outcome/retur"], "differs"),
    ],
)
def test_masks(masks: list[str], verdict: str) -> None:
    """A mask covers the field that it names and what is in it, and nothing beside it."""
    assert judge(RECORDED, report(["a", {"b": 2}]), masks).verdict == verdict


def test_masks_of_effects() -> None:
    """A mask of an effect covers that file."""
    reported = report(DATA, effects={"files": {"{tmp}/a": ["file", "1" * 64, False]}})
    assert judge(WRITES, reported, ["effects/files/{tmp}~1a"]).verdict == "ok"


def test_state_of_an_argument() -> None:
    """What an object in a changed argument keeps in itself counts only where it is asked for."""
    things = [{"$obj": "pkg:A", "state": {"x": 1}}]
    changes = call(1, result=DATA, effects={"args": {"things": things}})
    other = [{"$obj": "pkg:A", "state": {"x": 1, "y": 2}}]
    assert judge(changes, report(DATA, effects={"args": {"things": other}})).verdict == "differs"
    assert judge(changes, report(DATA, effects={"args": {"things": [*things, *other]}})).verdict == "changed"
    assert judge(changes, report(DATA, effects={"args": {"things": [{"state": {"x": 2}}]}})).verdict == "changed"


def test_masks_leave_the_outcome() -> None:
    """A call that raises is never masked."""
    assert judge(RECORDED, raised(ERROR), ["outcome/return", "outcome"]).verdict == "raised"


def test_inner_call() -> None:
    """Of an inner call the outcome alone is judged: what it did around it was not recorded."""
    inner = call(1, result=DATA, tier="inner", within=2)
    assert judge(inner, report(DATA, effects=FILES, stubs=[3])).verdict == "ok"


def test_short() -> None:
    """A value in a reason is one line of at most 100 characters."""
    assert short("a\nb") == r"'a\nb'"
    assert short({"$tmpl": "{tmp}/a"}) == "'{tmp}/a'"
    assert len(short(list(range(1000)))) == 100
