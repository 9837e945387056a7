"""What names, tags, digests and ranges may look like, by the distribution specification."""

import hashlib
import re

from matrix.registry.errors import Code, RegistryError

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_ENCODED = {"sha256": re.compile(r"[0-9a-f]{64}"), "sha512": re.compile(r"[0-9a-f]{128}")}
_CHUNK = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")

# The specification leaves the length open but says that clients limit host and name together to 255.
LONGEST_NAME = 255


def is_name(name: str) -> bool:
    """Whether ``name`` may name a repository."""
    return len(name) <= LONGEST_NAME and _NAME.fullmatch(name) is not None


def check_name(name: str) -> str:
    """Return ``name`` if it may name a repository; a `RegistryError` (NAME_INVALID) if not."""
    if not is_name(name):
        raise RegistryError(Code.NAME_INVALID, detail=name[:LONGEST_NAME])
    return name


def is_tag(reference: str) -> bool:
    """Whether ``reference`` may be a tag."""
    return _TAG.fullmatch(reference) is not None


def is_digest(reference: str) -> bool:
    """Whether ``reference`` is meant as a digest (no tag has a colon), well formed or not."""
    return ":" in reference


def check_digest(digest: str) -> str:
    """Return ``digest`` if it is a sha256 or sha512 digest; a `RegistryError` (DIGEST_INVALID) if not."""
    algorithm, _, encoded = digest.partition(":")
    if not _DIGEST.fullmatch(digest) or not (pattern := _ENCODED.get(algorithm)) or not pattern.fullmatch(encoded):
        raise RegistryError(Code.DIGEST_INVALID, detail=digest[:LONGEST_NAME])
    return digest


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of ``data``."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def parse_chunk(text: str) -> tuple[int, int]:
    """Return first and last byte of a chunk's ``Content-Range`` (``0-99``, without a unit), both included."""
    if not (match := _CHUNK.fullmatch(text)) or int(match[2]) < int(match[1]) - 1:
        raise RegistryError(Code.BLOB_UPLOAD_INVALID, detail=f"Content-Range {text[:64]}")
    return int(match[1]), int(match[2])


def parse_range(text: str | None, size: int) -> tuple[int, int] | None:
    """Return first byte and length that a ``Range`` asks of ``size`` bytes, None if the whole is to be sent.

    Units other than bytes and several ranges at once are ignored, as HTTP allows.

    Raises:
        RegistryError: malformed, or nothing of it exists (416).
    """
    if text is None or not text.startswith("bytes=") or "," in text:
        return None
    match = _RANGE.fullmatch(text)
    if match and match[1]:
        first, last = int(match[1]), min(int(match[2] or size - 1), size - 1)
    elif match and match[2]:
        first, last = max(size - int(match[2]), 0), size - 1
    else:
        first, last = size, size
    if first > last or first >= size:
        raise RegistryError(Code.SIZE_INVALID, 416, detail=text[:64], headers={"Content-Range": f"bytes */{size}"})
    return first, last - first + 1


def parse_count(text: str | None) -> int | None:
    """Return the largest number of entries that ``n`` asks for; None if it is not given."""
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 18:  # noqa: PLR2004 - more than any list can hold
        raise RegistryError(Code.UNSUPPORTED, 400, detail=f"n={text[:64]}")
    return int(text)
