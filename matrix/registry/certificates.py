"""A certificate for a registry, made when it starts, and the authority that its clients have to trust."""

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Files:
    """PEM files: the authority's certificate, the server's own and its key."""

    authority: Path
    certificate: Path
    key: Path


def issue(folder: Path, names: Iterable[str]) -> Files:
    """Write a certificate for these host names and addresses to ``folder``, with an authority that signed only it."""
    import trustme  # noqa: PLC0415 - 0.15 s that only registries with TLS need

    authority = trustme.CA(organization_name="caliper-matrix", organization_unit_name="registry for tests")
    server = authority.issue_cert(*names)
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
