"""A certificate for the registry, made when it starts, and the authority that clients have to trust."""

import ssl
from collections.abc import Iterable
from pathlib import Path


def issue(folder: Path, names: Iterable[str]) -> tuple[ssl.SSLContext, Path]:
    """Return what a server needs to speak TLS under these names and addresses, and the authority's PEM file.

    The key never leaves the process; only the authority's certificate is written to ``folder``.
    """
    import trustme  # noqa: PLC0415 - 0.15 s that only registries with TLS need

    authority = trustme.CA(organization_name="caliper-matrix", organization_unit_name="registry for tests")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    file = folder / "ca.pem"
    authority.cert_pem.write_to_path(file)
    return context, file
