"""Values of a trace: what is encoded is decoded again, and what is not of the format is refused."""

import argparse
import collections
import datetime as dt
import decimal
import fractions
import functools
import json
import math
import operator
import pathlib
import re
import types
import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.agent.standard import BadValue
from matrix.agent.symbols import find_symbol
from matrix.agent.templates import Templates
from matrix.agent.values import BLOB_SIZE, MAX_DEPTH, Decoder, Encoder, canonical
from matrix.schema_values import Values

Anything = Any  # any object of Python
TEMPLATES = Templates({"tmp": "/tmp/x", "release": "0.2.4", "port": "127.0.0.1:5000", "empty": ""})
KEYS = st.text(max_size=3) | st.sampled_from(["$ref", "$", "a"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(["/tmp/x/a", "{tmp}", "v0.2.4", "x" * (BLOB_SIZE + 1), "\ud800", "{{}}/tmp/x{"])
    | st.binary(max_size=8)
    | st.just(b"y" * (BLOB_SIZE + 1))
    | st.datetimes(timezones=st.none() | st.just(dt.UTC))
    | st.dates()
    | st.timedeltas()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
    | st.complex_numbers(allow_nan=False)
)
HASHABLE = (
    st.none()
    | st.integers()
    | st.text(max_size=5)
    | st.binary(max_size=3)
    | st.tuples(st.integers(), st.text(max_size=2))
)
OBJECTS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(KEYS, inner, max_size=3)
        | st.dictionaries(HASHABLE, inner, max_size=3)
        | st.tuples(inner, inner)
        | st.frozensets(HASHABLE, max_size=3)
        | st.sets(HASHABLE, max_size=3)
        | st.lists(inner, max_size=2).map(collections.deque)
    ),
    max_leaves=12,
)
SOME = settings(max_examples=150, deadline=None)


def encode(obj: Anything, templates: Templates = TEMPLATES) -> tuple[Any, dict[str, bytes]]:
    """Return the value of an object, as it is read back from a file, and what it stores."""
    blobs: dict[str, bytes] = {}
    value = Encoder(templates, lambda _encoder, _obj, _depth: None, blobs).encode(obj)
    return json.loads(json.dumps(value)), blobs


def decode(value: Anything, blobs: dict[str, bytes] | None = None) -> Anything:
    """Return the object of a value."""

    def symbol(_decoder: Decoder, kind: str, value: Anything) -> Anything:
        if kind != "$symbol":
            raise BadValue(kind)
        return find_symbol(value[kind])

    return Decoder(TEMPLATES, symbol, blobs or {}).decode(value)


@given(obj=OBJECTS)
@SOME
def test_round_trip(obj: Anything) -> None:
    """Plain data and the standard library's data come back equal, of the same types; and the schema accepts them."""
    value, blobs = encode(obj)
    again = decode(value, blobs)
    assert again == obj
    assert repr(again) == repr(obj) or isinstance(obj, (set, frozenset, list, dict, tuple, collections.deque))
    checked = Values()
    checked.argument(value)
    assert checked.contents == blobs.keys()


@given(items=st.sets(HASHABLE, max_size=6))
@SOME
def test_sets_are_sorted(items: set[Any]) -> None:
    """Equal sets have equal values, in whatever order they were filled."""
    again = set()
    for item in sorted(items, key=repr, reverse=True):
        again.add(item)
    assert canonical(encode(items)[0]) == canonical(encode(again)[0])


@pytest.mark.parametrize(
    "obj",
    [
        range(1, 9, 2),
        slice(1, None),
        dt.time(1, 2, 3, tzinfo=dt.UTC, fold=1),
        dt.timezone(dt.timedelta(hours=2), "X"),
        decimal.Decimal("1.50"),
        fractions.Fraction(1, 3),
        pathlib.Path("/tmp/x/a"),
        pathlib.PureWindowsPath("c:/a"),
        uuid.UUID(int=5),
        re.compile("a+", re.IGNORECASE),
        re.compile(b"a"),
        collections.OrderedDict(b=1, a=2),
        collections.Counter("aab"),
        collections.deque([1, 2], 5),
        collections.defaultdict(list, {"a": [1]}),
        types.SimpleNamespace(a=1),
        argparse.Namespace(b=[2]),
        types.MappingProxyType({"a": 1}),
        bytearray(b"ab"),
        memoryview(b"ab"),
        1 + 2j,
        Ellipsis,
        NotImplemented,
        dict,
        json.dumps,
        json,
        re.IGNORECASE,
    ],
    ids=repr,
)
def test_standard_library(obj: Anything) -> None:
    """An object of the standard library comes back, by what its constructor takes."""
    value, blobs = encode(obj)
    again = decode(value, blobs)
    assert type(again) is type(obj)
    assert again == obj
    Values().argument(value)


@pytest.mark.parametrize(
    ("obj", "argument"),
    [(operator.itemgetter(1, 0), "ab"), (operator.attrgetter("real"), 3), (operator.methodcaller("split", "b"), "abc")],
    ids=repr,
)
def test_getters(obj: Anything, argument: Anything) -> None:
    """What ``operator`` makes does the same again."""
    assert decode(encode(obj)[0])(argument) == obj(argument)


def test_exception() -> None:
    """A built-in exception comes back with its arguments."""
    again = decode(encode(KeyError("a", 1))[0])
    assert type(again) is KeyError
    assert again.args == ("a", 1)


@pytest.mark.parametrize("number", [math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1])
def test_floats(number: float) -> None:
    """Numbers come back to the last bit."""
    assert repr(decode(encode(number)[0])) == repr(number)


def test_not_a_number() -> None:
    """So does the one that is none."""
    assert math.isnan(decode(encode(math.nan)[0]))


def test_cycle_of_lists() -> None:
    """A list in itself is one again."""
    items: list[Any] = [1]
    items.append(items)
    assert encode(items)[0] == [1, {"$cycle": 1}]
    again = decode(encode(items)[0])
    assert again[1] is again


def test_cycle_through_others() -> None:
    """A cycle leads through mappings, tuples and what else there is in between."""
    top: dict[Any, Any] = {}
    top["a"] = ([top], collections.deque([top]))
    value, _ = encode(top)
    assert value["a"]["$tuple"][0] == [{"$cycle": 3}]
    again = decode(value)
    assert again["a"][0][0] is again
    assert again["a"][1][0] is again
    Values().argument(value)


def test_cycle_of_a_mapping_with_keys() -> None:
    """A mapping whose keys are no texts can hold itself, too."""
    top: dict[Any, Any] = {}
    top[1] = [top]
    again = decode(encode(top)[0])
    assert again[1][0] is again


def test_deep() -> None:
    """What is deeper than a value may be is cut, with the reason."""
    items: list[Any] = []
    for _ in range(MAX_DEPTH + 10):
        items = [items]
    assert f'{{"$opaque":"deeper than {MAX_DEPTH}"}}' in canonical(encode(items)[0])


def test_opaque() -> None:
    """What has no value says what it is."""
    assert encode(object())[0] == {"$opaque": "builtins.object"}
    assert encode(lambda: 0)[0] == {"$opaque": "builtins.function"}


def test_hostile_object() -> None:
    """Neither ``repr`` nor ``==`` nor ``hash`` of an object is asked."""

    class Hostile:
        def __repr__(self) -> str:
            raise AssertionError

        def __eq__(self, other: object) -> bool:
            raise AssertionError

        def __hash__(self) -> int:
            raise AssertionError

    assert "$opaque" in encode([Hostile()])[0][0]


@given(before=st.text("ab/.0{} ", max_size=4), after=st.text("ab/.0{} ", max_size=4))
@SOME
def test_templates(before: str, after: str) -> None:
    """A text with a folder in it comes back, whatever stands around it."""
    text = f"{before}/tmp/x{after}"
    value, _ = encode(text)
    assert decode(value) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("/tmp/x/a", {"$tmpl": "{tmp}/a"}),
        ("file:///tmp/x", {"$tmpl": "file://{tmp}"}),
        ("/tmp/xy", "/tmp/xy"),
        ("10.2.4", "10.2.4"),
        ("0.2.4", {"$tmpl": "{release}"}),
        ("oras 0.2.4.", {"$tmpl": "oras {release}."}),
        ("0.2.4.1", "0.2.4.1"),
        ("127.0.0.1:5000/a", {"$tmpl": "{port}/a"}),
        ("127.0.0.1:50001", "127.0.0.1:50001"),
        ("{tmp} /tmp/x", {"$tmpl": "{{tmp}} {tmp}"}),
        ("{tmp}", "{tmp}"),
        ("", ""),
    ],
)
def test_where_templates_stand(text: str, value: Anything) -> None:
    """A text is replaced only where it stands alone."""
    assert encode(text)[0] == value
    assert decode(value) == text


def test_same_trace_elsewhere() -> None:
    """A template stands for the folder of the machine that decodes it."""
    value, _ = encode("/tmp/x/a")
    other = Templates({"tmp": "/var/y"})
    assert Decoder(other, lambda *_: None, {}).decode(value) == "/var/y/a"


@pytest.mark.parametrize(
    "value",
    [{"$tmpl": "{nowhere}"}, {"$text": "0" * 64}, {"$blob": "0" * 64}, {"$std": "Popen", "args": []}, {"$nothing": 1},
     {"$std": "exception", "type": "eval", "args": []}, {"$source": "1"}],
    ids=str,
)  # fmt: skip
def test_bad_value(value: Anything) -> None:
    """A value that is not of the format, or that names what is not there, is refused."""
    with pytest.raises(BadValue):
        decode(value)


@pytest.mark.parametrize("symbol", ["no.such:thing", "json:no_such", "json:dumps.x", "pathlib:os.system"])
def test_unknown_symbol(symbol: str) -> None:
    """A symbol that leads nowhere is told."""
    with pytest.raises(LookupError):
        find_symbol(symbol)


def test_partial() -> None:
    """A partial function is one again, with its arguments."""
    value, _ = encode(functools.partial(int, "11", base=2))
    assert value["$std"] == "partial"
    assert value["args"][1:] == [["11"], {"base": 2}]
