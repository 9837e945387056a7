"""A client that does what it is told, over one connection: each request is as a test wrote it."""

import base64
import hashlib
import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from matrix.registry import Registry
from matrix.registry.external import DockerRegistry

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of ``data``."""
    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def basic(user: str, password: str) -> dict[str, str]:
    """Return the header of basic authentication."""
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def tls_context(ca_file: object) -> ssl.SSLContext:
    """Return a context that trusts this authority alone."""
    return ssl.create_default_context(cafile=str(ca_file))


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:  # noqa: ANN401 - it is JSON
        """Return what the body says."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The specification's code of the first error."""
        return str(self.json()["errors"][0]["code"])


class Client:
    """Requests to one registry. Absolute locations are followed on the same connection."""

    def __init__(self, registry: Registry | DockerRegistry, headers: Mapping[str, str] | None = None) -> None:
        """Connect with the first request; ``headers`` are sent with each."""
        self.base = registry.url
        self._headers = dict(headers or {})
        if registry.ca_file is None:
            self.connection = http.client.HTTPConnection(registry.host, registry.port, timeout=20)
        else:
            context = tls_context(registry.ca_file)
            self.connection = http.client.HTTPSConnection(registry.host, registry.port, timeout=20, context=context)

    def __enter__(self) -> Self:
        """Do nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up."""
        self.connection.close()

    def __call__(
        self, method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, **more: str
    ) -> Reply:
        """Send a request to a path or an absolute location; ``content_type="text/plain"`` is a header, too."""
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        named = self._headers | dict(headers or {}) | {name.replace("_", "-"): value for name, value in more.items()}
        self.connection.request(method, path, body, named)
        response = self.connection.getresponse()
        content = response.read()
        return Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, content)

    def start(self, name: str, query: str = "") -> str:
        """Open an upload session and return its location."""
        reply = self("POST", f"/v2/{name}/blobs/uploads/{query}", b"")
        assert reply.status == 202, reply
        return reply.headers["location"]

    def push_blob(self, name: str, data: bytes, algorithm: str = "sha256") -> str:
        """Push a blob by POST and PUT, and return its digest."""
        digest = digest_of(data, algorithm)
        reply = self("PUT", with_digest(self.start(name), digest), data)
        assert reply.status == 201, reply
        return digest

    def push_manifest(self, name: str, reference: str, **fields: object) -> str:
        """Push an image manifest without layers, with these ``fields`` besides, and return its digest."""
        config = self.push_blob(name, b"{}")
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2},
            "layers": [],
            **fields,
        }
        data = json.dumps(manifest).encode()
        reply = self("PUT", f"/v2/{name}/manifests/{reference}", data, content_type=str(manifest["mediaType"]))
        assert reply.status == 201, reply
        return digest_of(data)


def with_digest(location: str, digest: str) -> str:
    """Return the location with the digest added to its query."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"
