"""Names, tags, digests and ranges: what the specification's grammar takes and what it does not."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matrix.registry import grammar
from matrix.registry.errors import RegistryError


@pytest.mark.parametrize("name", ["a", "a/b", "a.b", "a_b", "a__b", "a-b", "a---b/c0", "0", "blobs/uploads", "a" * 255])
def test_names_of_repositories(name: str) -> None:
    """Lower-case words, joined by the separators that are allowed, in components between slashes."""
    assert grammar.check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "A",
        "a/",
        "/a",
        "a//b",
        "a..b",
        "a___b",
        "-a",
        "a-",
        "a/_b",
        "ä",
        "a b",
        "a:b",
        "a\n",
        "..",
        "a/../b",
        "a" * 256,
    ],
)
def test_what_no_repository_is_called(name: str) -> None:
    """Everything else is NAME_INVALID."""
    with pytest.raises(RegistryError, match="NAME_INVALID"):
        grammar.check_name(name)


@pytest.mark.parametrize(
    ("tag", "right"),
    [
        ("v1", True),
        ("_", True),
        ("A.b-c_d", True),
        ("a" * 128, True),
        ("a" * 129, False),
        ("", False),
        (".a", False),
        ("-a", False),
        ("a b", False),
        ("a/b", False),
        ("a\n", False),
        ("ä", False),
    ],
)
def test_tags(tag: str, right: bool) -> None:  # noqa: FBT001 - a parameter of the table
    """A word character first, then up to 127 more, with dots and dashes."""
    assert grammar.is_tag(tag) is right


@pytest.mark.parametrize("encoded", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, "0" * 64 + "\n"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512", "md5", "", "SHA256", "sha256+"])
def test_what_is_no_digest(algorithm: str, encoded: str) -> None:
    """Length, case and algorithm must be right."""
    with pytest.raises(RegistryError, match="DIGEST_INVALID"):
        grammar.check_digest(f"{algorithm}:{encoded}")


@pytest.mark.parametrize(
    "text", ["", "1", "1-", "-1", "a-b", "bytes 0-1", "0-1/2", "0 - 1", "5-3", "0-1,2-3", "-", "1" * 40]
)
def test_what_is_no_chunk(text: str) -> None:
    """A chunk's range is two numbers, the second not before the first."""
    with pytest.raises(RegistryError, match="BLOB_UPLOAD_INVALID"):
        grammar.parse_chunk(text)


@given(st.integers(0, 300), st.integers(0, 300) | st.none(), st.integers(1, 200))
def test_a_range_is_a_slice(first: int, last: int | None, size: int) -> None:
    """Whatever is asked for, what is sent is the slice that Python would take, or a refusal where that is empty."""
    data = bytes(index % 251 for index in range(size))
    expected = data[first : None if last is None else last + 1]
    text = f"bytes={first}-{'' if last is None else last}"
    if not expected:
        with pytest.raises(RegistryError):
            grammar.parse_range(text, size)
        return
    found = grammar.parse_range(text, size)
    assert found is not None
    assert data[found[0] : found[0] + found[1]] == expected


@given(st.text(max_size=30))
def test_any_text_is_taken_or_refused(text: str) -> None:
    """No input makes a parser fail in another way."""
    for parse in (grammar.check_name, grammar.check_digest, grammar.parse_chunk, grammar.parse_count):
        with contextlib.suppress(RegistryError):
            parse(text)
    with contextlib.suppress(RegistryError):
        grammar.parse_range(f"bytes={text}", 10)
