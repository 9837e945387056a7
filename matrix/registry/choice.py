"""Which registry: the embedded one, Debian's, or one that runs somewhere, all behind the same small interface."""

import contextlib
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

from matrix.errors import CaliperError
from matrix.registry.external import PROGRAM, DockerRegistry
from matrix.registry.server import Registry
from matrix.registry.store import Snapshot

EMBEDDED = "embedded"


class ChoiceError(CaliperError):
    """What names a registry names none."""


class AnyRegistry(Protocol):
    """What all of them can do."""

    @property
    def host(self) -> str:
        """Where it listens."""

    @property
    def port(self) -> int:
        """Where it listens."""

    @property
    def address(self) -> str:
        """Host and port, as in the name of an image."""

    @property
    def generation(self) -> int:
        """A number that is another whenever the state is."""

    def snapshot(self) -> Snapshot:
        """Return the state; content is named by digest."""

    def restore(self, snapshot: Snapshot) -> None:
        """Be as in the snapshot, if `add_blob` gave its content first."""

    def read_blob(self, digest: str) -> bytes:
        """Return content."""

    def add_blob(self, data: bytes, algorithm: str = "sha256") -> str:
        """Take content, and return its digest."""


def check_choice(choice: str) -> str:
    """Return ``choice`` if it may name a registry.

    Raises:
        ChoiceError: it does not.
    """
    if choice in {EMBEDDED, PROGRAM}:
        return choice
    url = split_url(choice)
    if url is None or url.path.strip("/") or url.query or url.fragment:
        shown = choice.rpartition("@")[2]  # what stands before it may be a password
        message = f"{shown!r} names no registry: it is {EMBEDDED}, {PROGRAM} or http[s]://[USER:PASSWORD@]HOST[:PORT]"
        raise ChoiceError(message)
    return choice


def split_url(text: str) -> SplitResult | None:
    """Return the parts of an address of the web, None if it is none."""
    try:
        parts = urlsplit(text)
        known = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        return None
    return parts if known else None


def credentials_of(choice: str) -> tuple[str, str] | None:
    """Return the user and the password that a URL has."""
    url = split_url(choice)
    return (unquote(url.username), unquote(url.password)) if url and url.username and url.password else None


def reachable(registry: AnyRegistry) -> list[str]:
    """Return the name and the addresses of a registry's machine, for who may talk to nobody else."""
    found = socket.getaddrinfo(registry.host, registry.port, type=socket.SOCK_STREAM)
    return sorted({registry.host, *(str(entry[4][0]) for entry in found)})


@contextlib.contextmanager
def open_registry(choice: str, auth: tuple[str, str] | None) -> Iterator[AnyRegistry]:
    """Start or find a registry: for anybody and without TLS, or with TLS for one user and password.

    Raises:
        ChoiceError: the URL is of another kind.
        MissingRegistryError: the program is not there.
        RemoteError: the registry at the URL does not answer, or lacks what it takes.
    """
    with contextlib.ExitStack() as stack:
        if check_choice(choice) == EMBEDDED:
            yield stack.enter_context(Registry(tls=auth is not None, auth=auth))
        elif choice == PROGRAM:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="caliper-htpasswd-")))
            passwords = write_htpasswd(folder / "htpasswd", *auth) if auth else None
            yield stack.enter_context(DockerRegistry(htpasswd=passwords, tls=auth is not None))
        else:
            from matrix.registry.remote import RemoteRegistry  # noqa: PLC0415 - 0.1 s that only a URL needs

            yield stack.enter_context(RemoteRegistry(check_kind(choice, protected=auth is not None)))


def check_kind(url: str, *, protected: bool) -> str:
    """Return a URL if it is one with TLS and a password, or one without either.

    Raises:
        ChoiceError: it is not.
    """
    parts = urlsplit(url)
    if protected and (parts.scheme != "https" or credentials_of(url) is None):
        kind = "a registry with TLS and a password is needed: https://USER:PASSWORD@HOST[:PORT]"
    elif not protected and (parts.scheme != "http" or parts.username):
        kind = "a registry without TLS and password is needed: http://HOST[:PORT]"
    else:
        return url
    message = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}: {kind}"
    raise ChoiceError(message)


def write_htpasswd(path: Path, user: str, password: str) -> Path:
    """Write a file of one user, as registries take it, and return its path."""
    import bcrypt  # noqa: PLC0415 - costs time at start that only such a registry needs

    path.touch(mode=0o600)
    path.write_text(f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n", encoding="utf-8")
    return path
