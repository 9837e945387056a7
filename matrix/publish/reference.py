"""Where an artifact lies: registry, repository, tag or digest."""

import re
from dataclasses import dataclass, replace
from typing import Self, final

from matrix.errors import CaliperError

_HOST = r"(?P<registry>localhost(?::\d+)?|[\w-]+(?:\.[\w-]+)+(?::\d+)?|[\w-]+:\d+|\[[0-9a-fA-F:]+\](?::\d+)?)"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"(?P<tag>\w[\w.-]{0,127})"
_DIGEST = r"(?P<digest>sha256:[0-9a-f]{64})"
_REFERENCE = re.compile(rf"{_HOST}/(?P<repository>{_PART}(?:/{_PART})*)(?::{_TAG})?(?:@{_DIGEST})?", re.ASCII)


@final
class InvalidReferenceError(CaliperError):
    """A reference that cannot be parsed."""

    def __init__(self, text: str) -> None:
        """Keep ``text``, and show it only if it cannot hold a password (``user:password@host/…``)."""
        self.text = text
        shown = "a reference with a user name" if "@" in text.partition("/")[0] else repr(text)
        super().__init__(
            f"{shown} is not HOST[:PORT]/NAME[:TAG][@sha256:…], as in ghcr.io/owner/name:latest (lower case)"
        )


@final
@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference; ``what`` is what is asked of the registry: the digest if there is one, else the tag."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``text``; the registry is never guessed.

        Raises:
            InvalidReferenceError: it is not a reference.
        """
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise InvalidReferenceError(text)
        return cls(**match.groupdict())

    @property
    def what(self) -> str:
        """The digest, else the tag, else ``latest``."""
        return self.digest or self.tag or "latest"

    @property
    def place(self) -> str:
        """The registry and repository, without tag and digest."""
        return f"{self.registry}/{self.repository}"

    def at(self, what: str) -> "Reference":
        """Return the same place at another tag or digest."""
        is_digest = ":" in what
        return replace(self, tag=None if is_digest else what, digest=what if is_digest else None)

    def __str__(self) -> str:
        """Return the reference as it is written on a command line."""
        return f"{self.place}{'@' if self.digest else ':'}{self.what}"
