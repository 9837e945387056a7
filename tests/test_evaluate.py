"""What a check may do: operations of fixed lists, over values; nothing else."""

import time
from typing import Any

import pytest

from matrix.agent.evaluate import evaluate
from matrix.agent.standard import BadValue

Json = Any
RESULTS = {"items": [1, 2, 3], "name": "Ada", "thing": ValueError("no")}


def run(tree: Json) -> Any:  # noqa: ANN401 # what the tree gives
    """Evaluate a tree over ``RESULTS``: a value ``{"$ref": name}`` is one of them."""

    def decode(value: Json) -> Any:  # noqa: ANN401 # any object
        return RESULTS[value["$ref"]] if isinstance(value, dict) and "$ref" in value else value

    return evaluate(tree, decode, {"pkg:VERSION": "1.2"}.__getitem__)


def of(value: Json) -> Json:
    """Return a tree that is a value."""
    return {"v": value}


ITEMS, NAME = of({"$ref": "items"}), of({"$ref": "name"})


@pytest.mark.parametrize(
    ("tree", "result"),
    [
        (of(3), 3),
        ({"read": "pkg:VERSION"}, "1.2"),
        ({"get": of({"$ref": "thing"}), "a": "args"}, ("no",)),
        ({"get": ITEMS, "k": of(1)}, 2),
        ({"get": ITEMS, "s": [of(1), of(None), of(None)]}, [2, 3]),
        ({"op": "==", "args": [ITEMS, of([1, 2, 3])]}, True),
        ({"op": "!=", "args": [of(1), of(1)]}, False),
        ({"op": "<", "args": [of(1), of(2)]}, True),
        ({"op": "in", "args": [of(2), ITEMS]}, True),
        ({"op": "not in", "args": [of(2), ITEMS]}, False),
        ({"op": "is", "args": [of(None), of(None)]}, True),
        ({"op": "is not", "args": [of(None), of(None)]}, False),
        ({"op": "not", "args": [of([])]}, True),
        ({"op": "neg", "args": [of(2)]}, -2),
        ({"op": "+", "args": [of(1), of(2)]}, 3),
        ({"op": "//", "args": [of(7), of(2)]}, 3),
        ({"op": "and", "args": [of(1), of(0), of(2)]}, 0),
        ({"op": "or", "args": [of(0), of(2), of(3)]}, 2),
        ({"op": "and", "args": [of(1), of(2)]}, 2),
        ({"op": "if", "args": [of(1), of(2), of(3)]}, 2),
        ({"op": "if", "args": [of(0), of(2), of(3)]}, 3),
        ({"op": "list", "args": [of(1), of(2)]}, [1, 2]),
        ({"op": "tuple", "args": [of(1)]}, (1,)),
        ({"op": "set", "args": [of(1), of(1)]}, {1}),
        ({"op": "dict", "args": [{"op": "list", "args": [{"op": "tuple", "args": [of("a"), of(1)]}]}]}, {"a": 1}),
        ({"op": "concat", "args": [of("a"), {"call": "str", "args": [of(1)]}]}, "a1"),
        ({"call": "len", "args": [ITEMS]}, 3),
        ({"call": "os.path.basename", "args": [of("a/b")]}, "b"),
        ({"call": "os.path.exists", "args": [of("/no/such/file")]}, False),
        ({"method": "upper", "args": [NAME]}, "ADA"),
        ({"method": "get", "args": [of({"a": 1}), of("b"), of(2)]}, 2),
        ({"method": "split", "args": [of("a b c")], "kwargs": {"maxsplit": of(1)}}, ["a", "b c"]),
    ],
    ids=str,
)
def test_tree(tree: Json, result: Json) -> None:
    """Each operation gives what Python's gives."""
    assert run(tree) == result


def test_and_stops() -> None:
    """What Python would not evaluate is not evaluated."""
    error = {"get": ITEMS, "k": of(99)}
    assert run({"op": "and", "args": [of(0), error]}) == 0
    assert run({"op": "if", "args": [of(0), error, of(2)]}) == 2
    assert run({"op": "or", "args": [of(1), error]}) == 1


def test_comparison_as_an_operand() -> None:
    """A chain is a conjunction of comparisons."""
    tree = {"op": "and", "args": [{"op": "<", "args": [of(1), of(2)]}, {"op": "<", "args": [of(2), of(2)]}]}
    assert run(tree) is False


@pytest.mark.parametrize(
    "tree",
    [
        3,
        [],
        {},
        {"lambda": 1},
        {"op": "@", "args": []},
        {"op": "__import__", "args": [of("os")]},
        {"call": "eval", "args": [of("1")]},
        {"call": "open", "args": [of("/etc/passwd")]},
        {"call": "iter", "args": [of(list), of(1)]},
        {"call": "os.system", "args": [of("true")]},
        {"call": "os.path.os.system", "args": [of("true")]},
        {"call": "os.path.join.__globals__", "args": []},
        {"method": "write_text", "args": [NAME]},
        {"method": "__class__", "args": [NAME]},
        {"method": "mro", "args": [NAME]},
    ],
    ids=str,
)
def test_what_is_not_listed(tree: Json) -> None:
    """Nothing but the listed operations can be expressed."""
    with pytest.raises(BadValue):
        run(tree)


def test_error_of_the_operation() -> None:
    """An operation that raises does so: the caller's would have, too."""
    with pytest.raises(IndexError):
        run({"get": ITEMS, "k": of(9)})


def test_clock() -> None:
    """A reading of the clock that was kept is compared with one of now; one that was never taken is refused."""
    elapsed = {"op": "-", "args": [{"call": "time.monotonic", "args": []}, {"clock": 1}]}
    tree = {"op": "<", "args": [elapsed, of(5)]}
    assert evaluate(tree, lambda value: value, str, {1: time.monotonic()}) is True
    assert evaluate(tree, lambda value: value, str, {1: time.monotonic() - 6}) is False
    with pytest.raises(BadValue, match="no reading 1 of the clock"):
        evaluate(tree, lambda value: value, str)


def test_mocks() -> None:
    """A check of a mock holds where the mock does not object."""
    from unittest.mock import Mock  # noqa: PLC0415 # only here

    mock = Mock()
    mock(1)
    tree = {"method": "assert_called_once_with", "args": [{"v": mock}, of(1)]}
    assert evaluate(tree, lambda value: value, str) is True
    with pytest.raises(AssertionError):
        evaluate({**tree, "args": [{"v": mock}, of(2)]}, lambda value: value, str)
