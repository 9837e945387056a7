"""Contents in a trace: packed where that helps, and never larger than they say."""

import base64
import gzip
import json
import zlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from lines import HEADER

from matrix.agent.contents import LARGEST, LONG, content_of, held
from matrix.agent.values import sha256
from matrix.trace import TraceError, read_trace

ZEROS = bytes(4 << 20)


def packed(data: bytes, size: int) -> dict[str, object]:
    """Return the fields of a packed content that says to be of a size."""
    return {"packed": base64.b64encode(zlib.compress(data)).decode(), "size": size}


@given(st.binary(max_size=200).flatmap(lambda part: st.integers(1, 2000).map(lambda times: part * times)))
@example(ZEROS)
@example(b"")
def test_a_content_comes_back_as_it_was(data: bytes) -> None:
    """What holds a content gives it back, and is JSON."""
    assert content_of(json.loads(json.dumps(held(data)))) == data


def test_only_what_is_long_and_becomes_short_is_packed() -> None:
    """Short contents stay readable; a long one of equal bytes takes next to nothing."""
    assert held(b"hi") == {"data": "aGk="}
    assert len(held(ZEROS)["packed"]) < 1 << 13
    assert "data" in held(b"".join(sha256(str(n).encode()).encode() for n in range(LONG // 64))[:LONG])


@pytest.mark.parametrize(
    "line",
    [
        packed(ZEROS, 10),
        packed(b"hi", 3),
        packed(b"hi", -1),
        packed(b"hi", LARGEST + 1),
        {"packed": "aGk=", "size": 2},
        {"packed": "?", "size": 2},
        {"packed": base64.b64encode(zlib.compress(b"hi")[:-1]).decode(), "size": 2},
    ],
)
def test_a_content_that_is_not_what_it_says_is_refused(line: dict[str, object], tmp_path: Path) -> None:
    """Sizes that lie, bombs and what is no packed content end with the line's number."""
    with pytest.raises(ValueError, match=r"."):
        content_of(line)
    made = {"def": "blob", "id": sha256(b"hi"), **line}
    path = tmp_path / "a.trace.jsonl.gz"
    path.write_bytes(gzip.compress(json.dumps(HEADER).encode() + b"\n" + json.dumps(made).encode() + b"\n"))
    with pytest.raises(TraceError, match="line 2: a blob is not packed as it says"):
        read_trace(path)
