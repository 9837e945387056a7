"""Where two values of a trace differ."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matrix.compare import differences, normal

KEYS = st.text(alphabet="ab/~$", max_size=3)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False, width=16)
    | st.text(alphabet="ab{}/", max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789_", min_size=8, max_size=8)
SOME = settings(max_examples=80, deadline=None)


@given(value=VALUES)
@SOME
def test_reflexive(value: Any) -> None:  # noqa: ANN401 # any JSON
    """A value does not differ from itself."""
    assert list(differences(value, value)) == []


@given(left=VALUES, right=VALUES)
@SOME
def test_symmetric(left: Any, right: Any) -> None:  # noqa: ANN401 # any JSON
    """Two values differ at the same places, whichever comes first."""
    assert list(differences(left, right)) == list(differences(right, left))


@given(left=VALUES, right=VALUES)
@SOME
def test_complete(left: Any, right: Any) -> None:  # noqa: ANN401 # any JSON
    """Values without a difference are equal, truth values and numbers apart."""
    if not list(differences(left, right)):
        assert left == right


@given(first=NAMES, second=NAMES, end=st.sampled_from(["", "/a.txt", ".json", "/x/y"]))
@SOME
def test_random_names(first: str, second: str, end: str) -> None:
    """What tempfile adds to a name is no difference, in a text and in a key alike."""
    left, right = (f"{{tmp}}/oras.{name}{end}" for name in (first, second))
    assert list(differences(left, right)) == []
    assert list(differences({left: 1}, {right: 1})) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("{tmp}/abcdefgh", "{tmp}/{random}"),
        ("{tmp}/oras.k3j_x9aa.json", "{tmp}/oras.{random}.json"),
        ("{tmp}/name-abcdefgh/b", "{tmp}/name-{random}/b"),
        ("see {tmp}/abcdefgh", "see {tmp}/{random}"),
        ("abcdefgh", "abcdefgh"),
        ("{work}/abcdefgh", "{work}/abcdefgh"),
        ("{tmp}/short", "{tmp}/short"),
        ("{tmp}/ABCDEFGH", "{tmp}/ABCDEFGH"),
        ("{tmp}/pytest-of-me/pytest-0/abcdefgh", "{tmp}/pytest-of-me/pytest-0/abcdefgh"),
    ],
)
def test_normal(text: str, shown: str) -> None:
    """Only in a temporary folder are names random, and not in those that the test runner names."""
    assert normal(text) == shown


@pytest.mark.parametrize(
    ("left", "right", "paths"),
    [
        (1, 2, [""]),
        (1, True, [""]),
        (0, False, [""]),
        (1, 1.0, []),
        (None, 0, [""]),
        ([1, 2], [1, 3], ["/1"]),
        ([1], [1, 2], [""]),
        ({"a": 1}, {"a": 2, "b": 1}, ["/a", "/b"]),
        ({"a": {"b": [1]}}, {"a": {"b": [2]}}, ["/a/b/0"]),
        ({"a/b~": 1}, {"a/b~": 2}, ["/a~1b~0"]),
        ({"$tuple": [1]}, [1], [""]),
        ("a", "b", [""]),
    ],
)
def test_paths(left: Any, right: Any, paths: list[str]) -> None:  # noqa: ANN401 # any JSON
    """Each place that differs is named once, by the steps that lead there."""
    assert list(differences(left, right)) == paths
