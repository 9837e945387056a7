"""A certificate for a registry, made when it starts, and the authority that its clients have to trust."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from matrix.errors import CaliperError


class HostNameError(CaliperError):
    """No certificate can be made for a name."""

    def __init__(self, names: Iterable[str]) -> None:
        """Say for which."""
        super().__init__(f"no certificate can be made for {', '.join(names)}: one of them is no host name or address")


@dataclass(frozen=True, slots=True)
class Files:
    """PEM files: the authority's certificate, the server's own and its key."""

    authority: Path
    certificate: Path
    key: Path


def issue(folder: Path, names: Iterable[str]) -> Files:
    """Write a certificate for these host names and addresses to ``folder``, with an authority that signed only it.

    Raises:
        HostNameError: one of them is neither.
    """
    import trustme  # noqa: PLC0415 - 0.15 s that only registries with TLS need

    authority = trustme.CA(organization_name="caliper-matrix", organization_unit_name="registry for tests")
    names = tuple(names)
    try:
        server = authority.issue_cert(*names)
    except ValueError as error:
        raise HostNameError(names) from error
    files = Files(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    files.key.touch(mode=0o600)
    server.private_key_pem.write_to_path(files.key)
    for number, certificate in enumerate(server.cert_chain_pems):
        certificate.write_to_path(files.certificate, append=number > 0)
    authority.cert_pem.write_to_path(files.authority)
    return files


def context(files: Files) -> ssl.SSLContext:
    """Return what a server in this process needs to speak TLS."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(files.certificate, files.key)
    return made
