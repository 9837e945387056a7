"""Switches that make the registry behave as registries in the wild do; all are off unless asked for.

A switch is a class here: its docstring is its documentation, ``name`` what it is called by.
"""

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from typing import ClassVar
from urllib.parse import urlsplit

from matrix.errors import CaliperError
from matrix.registry import blobs
from matrix.registry.errors import Code, RegistryError
from matrix.registry.messages import Request, Response
from matrix.registry.routes import Route
from matrix.registry.store import Store

_SIGNIFICANT = [("_state", ""), ("part", "1"), ("part", "2"), ("signed", "a b+c/d=")]
_SIGNIFICANT_QUERY = "_state=&part=1&part=2&signed=a%20b%2Bc%2Fd%3D"


class UnknownSwitchError(CaliperError):
    """A switch was asked for that does not exist, or with a value that it does not take."""

    def __init__(self, switch: str) -> None:
        """Say which there are."""
        names = [name if kind.default is None else f"{name}[=NUMBER]" for name, kind in SWITCHES.items()]
        super().__init__(f"no switch {switch!r}; there are: {', '.join(names)}")
        self.switch = switch


class Switch:
    """A deviation. ``value`` is the number that some take after their name (``slow=0.2``)."""

    name: ClassVar[str]
    default: ClassVar[float | None] = None

    def __init__(self, value: float | None = None) -> None:
        """Take the default unless a value is given."""
        self.value = self.default or 0.0 if value is None else value

    async def before(self, store: Store, request: Request, route: Route) -> None:
        """Change the request before it is served, or refuse it with a `RegistryError`."""

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:
        """Change the response."""


class NoReferrers(Switch):
    """There is no referrers API: 404."""

    name = "no-referrers"

    async def before(self, store: Store, request: Request, route: Route) -> None:  # noqa: D102, ARG002
        if route.kind == "referrers":
            raise RegistryError(Code.UNSUPPORTED, 404, "no such endpoint")


class NoSubject(Switch):
    """Pushing a manifest with a subject is not answered with ``OCI-Subject``."""

    name = "no-oci-subject"

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        response.headers.pop("OCI-Subject", None)


class RelativeLocation(Switch):
    """``Location`` is a path, without scheme and host."""

    name = "relative-location"

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        if "Location" in response.headers:
            response.headers["Location"] = response.headers["Location"].removeprefix(request.origin)


class LocationQuery(Switch):
    """``Location`` of an upload has blank, repeated and escaped query parameters; they must all come back unchanged."""

    name = "location-query"

    async def before(self, store: Store, request: Request, route: Route) -> None:  # noqa: D102, ARG002
        if route.kind == "upload" and [pair for pair in request.query if pair[0] != "digest"] != _SIGNIFICANT:
            raise RegistryError(Code.BLOB_UPLOAD_INVALID, detail="the query of the Location was not kept")

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        if "Docker-Upload-UUID" in response.headers:
            response.headers["Location"] = f"{response.headers['Location'].partition('?')[0]}?{_SIGNIFICANT_QUERY}"


class PlainLocation(Switch):
    """``Location`` of an upload has no query at all."""

    name = "plain-location"

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        if "Docker-Upload-UUID" in response.headers:
            response.headers["Location"] = response.headers["Location"].partition("?")[0]


class LocationPerChunk(Switch):
    """Each chunk is answered with a new ``Location``; the old one is unknown from then on."""

    name = "location-per-chunk"

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102
        if route.kind == "upload" and request.method == "PATCH" and response.status == 202:  # noqa: PLR2004
            upload = store.uploads.get(*route.parts)
            store.uploads.rename(upload)
            for name in ("Location", "Docker-Upload-UUID"):
                response.headers[name] = response.headers[name].replace(route.parts[1], upload.key)


class ChunkMinLength(Switch):
    """Uploads announce ``OCI-Chunk-Min-Length``; what follows a shorter chunk is refused (SIZE_INVALID)."""

    name = "chunk-min-length"
    default = 65536

    async def before(self, store: Store, request: Request, route: Route) -> None:  # noqa: D102
        if route.kind == "upload" and request.method in {"PATCH", "PUT"} and request.announced != 0:
            upload = store.uploads.get(*route.parts)
            if upload.marks.get("shortest", self.value) < self.value:
                raise RegistryError(Code.SIZE_INVALID, detail=f"a chunk was shorter than {self.value:.0f} bytes")
            upload.marks["before"] = upload.offset

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102
        if route.kind == "uploads" and response.status == 202:  # noqa: PLR2004
            response.headers["OCI-Chunk-Min-Length"] = f"{self.value:.0f}"
        if route.kind == "upload" and request.method == "PATCH" and response.status == 202:  # noqa: PLR2004
            upload = store.uploads.get(*route.parts)
            if added := upload.offset - upload.marks.get("before", upload.offset):
                upload.marks["shortest"] = min(added, upload.marks.get("shortest", added))


class One416(Switch):
    """The second chunk of each upload is refused once with 416, as if it were out of order."""

    name = "one-416"

    async def before(self, store: Store, request: Request, route: Route) -> None:  # noqa: D102
        if route.kind == "upload" and request.method == "PATCH":
            upload = store.uploads.get(*route.parts)
            if upload.offset and not upload.marks.get("refused"):
                upload.marks["refused"] = 1
                raise RegistryError(Code.BLOB_UPLOAD_INVALID, 416, "try again", blobs.progress(request, upload))


class NoSinglePost(Switch):
    """A POST with a whole blob is answered 202: the body is dropped, a session begins."""

    name = "no-single-post"

    async def before(self, store: Store, request: Request, route: Route) -> None:  # noqa: D102, ARG002
        if route.kind == "uploads":
            request.query = [(key, value) for key, value in request.query if key != "digest"]


class NoMount(Switch):
    """Mounting a blob is answered 202: a session begins."""

    name = "no-mount"

    async def before(self, store: Store, request: Request, route: Route) -> None:  # noqa: D102, ARG002
        if route.kind == "uploads":
            request.query = [(key, value) for key, value in request.query if key not in {"mount", "from"}]


class NoDelete(Switch):
    """Nothing can be deleted: 405."""

    name = "no-delete"

    async def before(self, store: Store, request: Request, route: Route) -> None:  # noqa: D102, ARG002
        if request.method == "DELETE" and route.kind in {"blob", "manifest"}:
            raise RegistryError(Code.UNSUPPORTED, headers={"Allow": "GET, HEAD"})


class ShortPages(Switch):
    """Lists come in pages of at most so many entries, whatever ``n`` asks for, with a ``Link`` to the next one."""

    name = "short-pages"
    default = 2

    async def before(self, store: Store, request: Request, route: Route) -> None:  # noqa: D102, ARG002
        if route.kind in {"tags", "catalog", "referrers"}:
            asked = request.parameter("n")
            if asked is None or not asked.isdecimal() or int(asked) > self.value:
                kept = [(key, value) for key, value in request.query if key != "n"]
                request.query = [*kept, ("n", f"{self.value:.0f}")]


class NoContentDigest(Switch):
    """No answer has a ``Docker-Content-Digest``."""

    name = "no-content-digest"

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        response.headers.pop("Docker-Content-Digest", None)


class WrongContentDigest(Switch):
    """``Docker-Content-Digest`` is that of something else."""

    name = "wrong-content-digest"

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        if "Docker-Content-Digest" in response.headers:
            response.headers["Docker-Content-Digest"] = f"sha256:{hashlib.sha256(b'something else').hexdigest()}"


class TruncatedBody(Switch):
    """Blobs and manifests break off in the middle, and the connection is closed."""

    name = "truncated-body"

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        if route.kind in {"blob", "manifest"} and request.method == "GET" and response.status in {200, 206}:
            response.cut = response.size // 2


class ContentTypeParameters(Switch):
    """``Content-Type`` has parameters."""

    name = "content-type-parameters"

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        if "Content-Type" in response.headers:
            response.headers["Content-Type"] += "; charset=utf-8"


class Warn(Switch):
    """Every answer has a ``Warning`` header, in the specification's form."""

    name = "warning"

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        response.headers["Warning"] = '299 - "this registry will be switched off soon"'


class Scope403(Switch):
    """A token that does not cover a request is answered 403 (DENIED), not 401."""

    name = "scope-403"

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        if "insufficient_scope" in response.headers.get("WWW-Authenticate", ""):
            response.status, response.body = 403, RegistryError(Code.DENIED).body()


class TooManyRequests(Switch):
    """Every other request, from the first on, is refused with 429 and ``Retry-After`` of so many seconds."""

    name = "too-many-requests"
    default = 1

    def __init__(self, value: float | None = None) -> None:
        """Start with a refusal."""
        super().__init__(value)
        self._refuse = True

    async def before(self, store: Store, request: Request, route: Route) -> None:  # noqa: D102, ARG002
        refused, self._refuse = self._refuse, not self._refuse
        if refused:
            raise RegistryError(Code.TOOMANYREQUESTS, headers={"Retry-After": f"{self.value:.0f}"})


class Slow(Switch):
    """Every answer takes so many seconds longer."""

    name = "slow"
    default = 0.5

    async def before(self, store: Store, request: Request, route: Route) -> None:  # noqa: D102, ARG002
        await asyncio.sleep(self.value)


class RedirectBlobs(Switch):
    """A GET of a blob is redirected (307) to a signed address on another host, which refuses credentials with 400."""

    name = "redirect-blobs"
    _PATH = re.compile(r"/storage/([^/]+)")

    def __init__(self, value: float | None = None) -> None:
        """Wait for the second port to be known."""
        super().__init__(value)
        self.port = 0
        self._key = secrets.token_bytes(32)

    async def after(self, store: Store, request: Request, route: Route, response: Response) -> None:  # noqa: D102, ARG002
        if route.kind == "blob" and request.method == "GET" and response.status in {200, 206}:
            digest = route.parts[1]
            scheme = urlsplit(request.origin).scheme
            location = f"{scheme}://localhost:{self.port}/storage/{digest}?signature={self._sign(digest)}"
            response.status, response.headers, response.file = 307, {"Location": location}, None

    async def serve(self, store: Store, request: Request) -> Response:
        """Answer a request to the other host."""
        match = self._PATH.fullmatch(request.path)
        if match is None or not hmac.compare_digest(request.parameter("signature") or "", self._sign(match[1])):
            raise RegistryError(Code.DENIED)
        if "authorization" in request.headers:
            raise RegistryError(Code.UNSUPPORTED, 400, "credentials of the registry were sent to another host")
        return blobs.serve(store, request, match[1])

    def _sign(self, digest: str) -> str:
        return hmac.digest(self._key, digest.encode(), hashlib.sha256).hex()


SWITCHES: dict[str, type[Switch]] = {
    switch.name: switch
    for switch in (
        NoReferrers,
        NoSubject,
        RelativeLocation,
        PlainLocation,
        LocationQuery,
        LocationPerChunk,
        ChunkMinLength,
        One416,
        NoSinglePost,
        NoMount,
        NoDelete,
        ShortPages,
        NoContentDigest,
        WrongContentDigest,
        TruncatedBody,
        ContentTypeParameters,
        RedirectBlobs,
        Warn,
        Scope403,
        TooManyRequests,
        Slow,
    )
}


def parse(switches: Iterable[str]) -> list[Switch]:
    """Return the switches of these names (``NAME`` or ``NAME=NUMBER``), in the order in which they are applied."""
    found = {}
    for text in switches:
        name, equals, number = text.partition("=")
        switch = SWITCHES.get(name)
        if switch is None or (equals and (switch.default is None or not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", number))):
            raise UnknownSwitchError(text)
        found[name] = switch(float(number) if equals else None)
    return [found[name] for name in SWITCHES if name in found]
