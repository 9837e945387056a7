"""The registry as an ASGI application: which endpoint answers which request."""

import contextlib
from collections.abc import Awaitable, Callable, Iterable

from matrix.registry import blobs, listings, manifests, routes
from matrix.registry.access import Access
from matrix.registry.content import UnknownContentError
from matrix.registry.errors import Code, RegistryError
from matrix.registry.messages import (
    DisconnectedError,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    is_full_disk,
    is_too_much,
)
from matrix.registry.store import Store
from matrix.registry.switches import RedirectBlobs, Switch

Endpoint = Callable[..., Awaitable[Response]]


async def base(store: Store, request: Request) -> Response:  # noqa: ARG001
    """Say that this is a registry (end-1)."""
    return Response(200, {"Content-Type": "application/json"}, b"{}")


ENDPOINTS: dict[str, dict[str, Endpoint]] = {
    "base": {"GET": base},
    "catalog": {"GET": listings.catalog},
    "tags": {"GET": listings.tags},
    "uploads": {"POST": blobs.start},
    "upload": {"GET": blobs.status, "PATCH": blobs.patch, "PUT": blobs.put, "DELETE": blobs.cancel},
    "blob": {"GET": blobs.get, "DELETE": blobs.delete},
    "manifest": {"GET": manifests.get, "PUT": manifests.put, "DELETE": manifests.delete},
    "referrers": {"GET": manifests.referrers},
}


class Application:
    """Serves one store."""

    def __init__(self, store: Store, access: Access | None = None, switches: Iterable[Switch] = ()) -> None:
        """Serve ``store`` to everybody, or to those whom ``access`` lets pass."""
        self.store = store
        self._access = access
        self._switches = list(switches)
        self._redirect = next((switch for switch in self._switches if isinstance(switch, RedirectBlobs)), None)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request (the ASGI interface); nothing is sent to a client that went away."""
        request = Request.of(scope, receive)
        with contextlib.suppress(DisconnectedError):
            response = await self.answer(request)
            try:
                await response.send(request, send)
            except OSError as error:  # its file could not be opened
                await _refusal(_limit(error)).send(request, send)

    async def answer(self, request: Request) -> Response:
        """Return the response, also where the request can't be served."""
        try:
            response = await self._serve(request)
        except RegistryError as error:
            response = _refusal(error)
        except UnknownContentError as error:  # somebody removed a file
            response = _refusal(RegistryError(Code.BLOB_UNKNOWN, 404, error.digest))
        except OSError as error:
            response = _refusal(_limit(error))
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        with contextlib.suppress(RegistryError):
            route = routes.find(request.path)
            for switch in self._switches:
                await switch.after(self.store, request, route, response)
        return response

    async def _serve(self, request: Request) -> Response:
        if self._redirect is not None and request.port == self._redirect.port:
            return await self._redirect.serve(self.store, request)
        if self._access is not None and (token := await self._access.token(request)) is not None:
            return token
        route = routes.find(request.path)
        if self._access is not None:
            await self._access.check(request, route.needs(request))
        route.check()
        for switch in self._switches:
            await switch.before(self.store, request, route)
        if route.kind not in ENDPOINTS:
            raise RegistryError(Code.UNSUPPORTED, 404, "no such endpoint")
        methods = ENDPOINTS[route.kind]
        endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            allowed = ["HEAD", *methods] if "GET" in methods else methods
            raise RegistryError(Code.UNSUPPORTED, headers={"Allow": ", ".join(allowed)})
        return await endpoint(self.store, request, *route.parts)


def _limit(error: OSError) -> RegistryError:
    """Return what to answer where the machine has no more room; other errors are mistakes of ours, and raised."""
    if is_full_disk(error):
        return RegistryError(Code.BLOB_UPLOAD_INVALID, 507, "no space left in the registry's storage")
    if is_too_much(error):
        return RegistryError(Code.TOOMANYREQUESTS, detail="too many open files", headers={"Retry-After": "1"})
    raise error


def _refusal(error: RegistryError) -> Response:
    return Response(error.status, {"Content-Type": "application/json"} | error.headers, error.body())
