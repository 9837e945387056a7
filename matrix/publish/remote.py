"""One repository of a registry, through the oras library, with failures that can be understood."""

import functools
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, final

import requests
from oras.client import OrasClient  # type: ignore[import-untyped]
from oras.provider import temporary_empty_config  # type: ignore[import-untyped]
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from matrix.errors import CaliperError
from matrix.publish.artifact import INDEX_TYPE, MANIFEST_TYPE, Layer, digest_of
from matrix.publish.reference import Reference

CONNECT_SECONDS, READ_SECONDS = 10, 120
MAX_MANIFEST = 4 << 20
ACCEPT = (
    MANIFEST_TYPE,
    INDEX_TYPE,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)
_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND = 401, 403, 404
_SUCCESS = {200, 201, 202}

# What oras logs repeats the error that is raised here, and may quote a credential helper: one line is enough.
logging.getLogger("oras.logger").addHandler(logging.NullHandler())
logging.getLogger("oras.logger").propagate = False


@final
class RegistryError(CaliperError):
    """A registry cannot be reached, refuses, or answers what no registry answers."""

    def __init__(self, reference: Reference, reason: str, status: int | None = None) -> None:
        """Keep what was asked, why it failed, and the status of the answer if there was one."""
        self.reference = reference
        self.reason = reason
        self.status = status
        super().__init__(f"{reference}: {reason}")


@final
@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as the registry keeps it; ``content`` is the parsed ``data``."""

    data: bytes
    media_type: str
    digest: str
    content: Mapping[str, Any]

    def descriptor(self) -> dict[str, Any]:
        """Return what another manifest says to refer to this one."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.data)}


@final
class Remote:
    """A repository: manifests and blobs in and out. Every failure is a ``RegistryError``."""

    __slots__ = ("_client", "_container", "_last", "reference")

    def __init__(self, reference: Reference, *, plain_http: bool = False, ca_file: Path | None = None) -> None:
        """Reach the registry, and find out how it wants to be told who asks.

        Credentials are those of ``ORAS_USER`` and ``ORAS_PASS``, else of docker's configuration.
        """
        if ca_file is not None and not ca_file.is_file():
            raise RegistryError(reference, f"there is no file of certificates at {ca_file}")
        self.reference = reference
        self._last: requests.Response | None = None
        self._client = OrasClient(reference.registry, insecure=plain_http, tls_verify=str(ca_file) if ca_file else True)
        self._container = self._client.get_container(reference.place)
        self._client.do_request = self._request
        retries = Retry(total=3, connect=1, backoff_factor=0.3, status_forcelist=(502, 503, 504), raise_on_status=False)
        self._client.session.mount(f"{self._client.prefix}://", _Adapter(max_retries=retries))
        self._client.session.hooks["response"].append(self._remember)
        self._identify()

    def manifest(self, what: str) -> Manifest | None:
        """Return the manifest at a tag or digest, checked against the digest; None if there is none."""
        headers = {"Accept": ", ".join(ACCEPT)}
        try:
            response = self._client.do_request(self._url(what), "GET", headers=headers)
            if response.status_code == _NOT_FOUND:
                return None
            self._check(response)
            data = response.content
            content = json.loads(data)
        except (requests.RequestException, ValueError) as error:
            self._fail(error)
        digest = what if ":" in what else response.headers.get("Docker-Content-Digest", digest_of(data))
        if digest != digest_of(data) or len(data) > MAX_MANIFEST or not isinstance(content, dict):
            raise RegistryError(self.reference.at(what), "the manifest is damaged: its digest is another one")
        media_type = response.headers.get("Content-Type", MANIFEST_TYPE).partition(";")[0]
        return Manifest(data, media_type, digest, content)

    def put_manifest(self, what: str, data: bytes, media_type: str = MANIFEST_TYPE) -> Mapping[str, str]:
        """Store a manifest under a tag or digest, and return the headers of the answer."""
        try:
            response = self._client.do_request(self._url(what), "PUT", data=data, headers={"Content-Type": media_type})
        except (requests.RequestException, ValueError) as error:
            self._fail(error)
        self._check(response)
        return dict(response.headers.items())

    def put_layer(self, layer: Layer) -> None:
        """Upload the file of ``layer``, unless the repository has it."""
        self._upload(str(layer.path), layer.descriptor())

    def put_empty_config(self, descriptor: Mapping[str, Any]) -> None:
        """Upload the two bytes that are the configuration of an artifact without one."""
        with temporary_empty_config() as path:
            self._upload(path, descriptor)

    def blob(self, layer: Layer) -> bytes:
        """Return a blob, once its size and digest are found to be those of ``layer``."""
        where = self.reference.at(layer.digest)
        try:
            with self._client.get_blob(self._container, layer.digest, stream=True) as response:
                self._check(response)
                data = _read(response, layer.size + 1)
        except (requests.RequestException, ValueError) as error:
            self._fail(error)
        if len(data) < layer.size:
            raise RegistryError(where, f"{layer.title} is truncated: {len(data)} of {layer.size} bytes")
        if len(data) > layer.size or digest_of(data) != layer.digest:
            raise RegistryError(where, f"{layer.title} was altered: its digest is another one")
        return data

    def _upload(self, path: str, descriptor: Mapping[str, Any]) -> None:
        try:
            response = self._client.upload_blob(path, self._container, dict(descriptor))
        except (requests.RequestException, ValueError, OSError) as error:
            self._fail(error)
        self._check(response)

    def _url(self, what: str) -> str:
        return f"{self._client.prefix}://{self._container.manifest_url(what)}"

    def _request(self, *arguments: Any, **options: Any) -> requests.Response:  # noqa: ANN401 (oras' own signature)
        # Without oras' decorator, which waits 130 s for a registry that refuses connections; the session retries.
        ask = functools.partial(OrasClient.do_request.__wrapped__, self._client, *arguments, **options)
        response: requests.Response = ask()
        if response.status_code == _UNAUTHORIZED and getattr(self._client.auth, "token", None):
            # A token is good for what it was asked for: after reading, writing needs another, and oras asks once.
            self._client.auth.token = None
            response = ask()
        return response

    def _remember(self, response: requests.Response, *_: object, **__: object) -> None:
        self._last = response

    def _identify(self) -> None:
        try:
            response = self._client.session.get(
                f"{self._client.prefix}://{self.reference.registry}/v2/",
                verify=self._client._tls_verify,  # noqa: SLF001
            )
        except requests.RequestException as error:
            self._fail(error)
        auth = self._client.auth
        basic = self._credentials()
        challenge = response.headers.get("Www-Authenticate", "").lower()
        if response.status_code == _UNAUTHORIZED and challenge.startswith("basic"):
            if basic is None:
                self._check(response)
            # From the first request on: a registry may close the connection on a body that it did not authorize.
            self._client.session.headers["Authorization"] = f"Basic {basic}"
        elif basic is not None:
            auth._basic_auth = basic  # noqa: SLF001 (where oras keeps it for the request of a token)

    def _credentials(self) -> str | None:
        auth = self._client.auth
        user, password = os.environ.get("ORAS_USER"), os.environ.get("ORAS_PASS")
        if user and password:
            auth.set_basic_auth(user, password)
        else:
            # Read here, for oras knows ~/.docker only, not DOCKER_CONFIG.
            auth._auth_config = self._docker_config()  # noqa: SLF001
            try:
                auth.load_configs(self._container)
            except (ValueError, KeyError, OSError) as error:
                raise RegistryError(self.reference, f"the credential helper failed: {type(error).__name__}") from None
        basic: str | None = getattr(auth, "_basic_auth", None)
        return basic

    def _docker_config(self) -> dict[str, Any]:
        path = Path(os.environ.get("DOCKER_CONFIG") or Path.home() / ".docker") / "config.json"
        empty: dict[str, Any] = {"auths": {}, "credsStore": None, "credHelpers": {}}
        if not path.is_file():
            return empty
        try:
            config = json.loads(path.read_bytes())
            return empty | {key: config[key] for key in empty if config.get(key)}
        except (OSError, ValueError, AttributeError):
            raise RegistryError(self.reference, f"{path} cannot be read as docker's configuration") from None

    def _check(self, response: requests.Response) -> None:
        if response.status_code not in _SUCCESS:
            self._refused(response)

    def _refused(self, response: requests.Response) -> NoReturn:
        host = self.reference.registry
        hint = {
            _UNAUTHORIZED: f": log in with docker login {host}, or set ORAS_USER and ORAS_PASS",
            _FORBIDDEN: ": these credentials may not do that",
        }.get(response.status_code, "")
        reason = f"the registry refuses: {response.status_code} {_words(response)}{hint}"
        raise RegistryError(self.reference, reason, response.status_code) from None

    def _fail(self, error: Exception) -> NoReturn:
        """Tell an exception of requests or oras in the registry's words if it has any, else in one of ours."""
        if not isinstance(error, requests.RequestException):
            if self._last is not None and self._last.status_code not in _SUCCESS:
                self._refused(self._last)
            raise RegistryError(self.reference, f"no answer of a registry ({type(error).__name__})") from None
        if isinstance(error, requests.exceptions.SSLError):
            untrusted = "CERTIFICATE_VERIFY_FAILED" in str(error)
            reason = "its certificate is not trusted: name the authority with --ca-file"
            reason = reason if untrusted else "it does not speak https: use --plain-http if that is what you want"
        elif isinstance(error, requests.exceptions.Timeout):
            reason = "no answer in time"
        elif isinstance(error, requests.exceptions.ChunkedEncodingError):
            reason = "the answer is truncated"
        else:
            reason = "cannot be reached: is the registry running, and does it speak https (else --plain-http)?"
        raise RegistryError(self.reference, reason) from None


class _Adapter(HTTPAdapter):
    """Requests has no time limit of its own, and oras sets none."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override] # noqa: ANN401
        return super().send(request, **options | {"timeout": (CONNECT_SECONDS, READ_SECONDS)})


def _read(response: requests.Response, limit: int) -> bytes:
    """Return at most ``limit`` bytes: a registry cannot make us hold more than the manifest says."""
    data = bytearray()
    for chunk in response.iter_content(1 << 16):
        data += chunk[: limit - len(data)]
        if len(data) == limit:
            break
    return bytes(data)


def _words(response: requests.Response) -> str:
    """Return what the registry says of the failure, on one line."""
    try:
        error = response.json()["errors"][0]
        words = f"{error['code']}: {error.get('message') or response.reason}"
    except (ValueError, LookupError, TypeError, AttributeError):
        words = str(response.reason)
    return " ".join(words.split())[:200]
