"""How a line of a trace holds a content: in base64, packed by zlib where it is long and that makes it much shorter."""

from __future__ import annotations

from typing import Any, Dict

LONG = 1 << 14  # bytes; shorter ones stay readable
LARGEST = 64 << 20  # bytes of one content, unpacked: what the largest file of a trace may hold


def held(data: bytes) -> Dict[str, Any]:
    """Return the fields that hold a content."""
    import base64  # a recorded program must not find modules imported that it did not import
    import zlib

    if len(data) >= LONG:
        small = zlib.compress(data, 9)
        if 2 * len(small) < len(data):
            return {"packed": base64.b64encode(small).decode("ascii"), "size": len(data)}
    return {"data": base64.b64encode(data).decode("ascii")}


def content_of(line: Dict[str, Any]) -> bytes:
    """Return the content that a line holds.

    Raises:
        ValueError: it is no base64, not packed, or not of the size that the line says.
    """
    import base64
    import zlib

    if "packed" not in line:
        return base64.b64decode(line["data"], validate=True)
    size = line["size"]
    if not 0 <= size <= LARGEST:
        raise ValueError("a size that no content has")
    unpacker = zlib.decompressobj()
    try:
        data = unpacker.decompress(base64.b64decode(line["packed"], validate=True), size + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if len(data) != size or not unpacker.eof:
        raise ValueError("not of the size that it says")
    return data
