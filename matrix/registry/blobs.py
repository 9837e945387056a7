"""Endpoints of blobs (end-2, end-10) and of their uploads (end-4, end-5, end-6, end-11, end-13, end-14)."""

import asyncio

from matrix.registry import grammar
from matrix.registry.errors import Code, RegistryError
from matrix.registry.messages import Request, Response
from matrix.registry.store import Store
from matrix.registry.uploads import Upload


async def get(store: Store, request: Request, name: str, digest: str) -> Response:
    """Return a blob, or the range of it that is asked for."""
    grammar.check_digest(digest)
    if not store.state.has_blob(name, digest):
        raise RegistryError(Code.BLOB_UNKNOWN, detail=digest)
    return serve(store, request, digest)


def serve(store: Store, request: Request, digest: str) -> Response:
    """Return content, whichever repository holds it, or the range of it that is asked for."""
    file, size = store.content.file(digest), store.content.size(digest)
    headers = {
        "Content-Type": "application/octet-stream",
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Accept-Ranges": "bytes",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(304, headers)
    wanted = request.headers.get("range") if request.method == "GET" else None
    if request.headers.get("if-range", headers["ETag"]) != headers["ETag"]:
        wanted = None
    part = grammar.parse_range(wanted, size)
    if part is None:
        return Response(200, headers, file=file, length=size)
    first, length = part
    headers["Content-Range"] = f"bytes {first}-{first + length - 1}/{size}"
    return Response(206, headers, file=file, start=first, length=length)


async def delete(store: Store, request: Request, name: str, digest: str) -> Response:  # noqa: ARG001
    """Take a blob out of the repository."""
    store.state.remove_blob(name, grammar.check_digest(digest))
    return Response(202)


async def start(store: Store, request: Request, name: str) -> Response:
    """Open an upload session; or take the blob at once (``digest``), or from another repository (``mount``)."""
    if (mounted := request.parameter("mount")) is not None:
        source = request.parameter("from")
        grammar.check_digest(mounted)
        holds = store.state.has_blob(source, mounted) if source else store.state.anywhere(mounted) is not None
        if holds:
            store.state.add_blob(name, mounted)
            return _created(request, name, mounted)
    elif (digest := request.parameter("digest")) is not None:
        grammar.check_digest(digest)
        upload = Upload(name, store.content)
        try:
            await upload.append(request.stream(), digest.partition(":")[0])
            return await _finish(store, request, upload, digest)
        finally:
            upload.discard()
    upload = store.uploads.start(name)
    store.state.changed()
    return Response(202, progress(request, upload))


async def patch(store: Store, request: Request, name: str, key: str) -> Response:
    """Add a chunk; one that does not follow the last one is refused."""
    upload = store.uploads.get(name, key)
    async with upload.turn:
        await _append(request, upload)
        store.state.changed()
        return Response(202, progress(request, upload))


async def put(store: Store, request: Request, name: str, key: str) -> Response:
    """Add the last chunk, if there is one, and close the session: the blob is there."""
    digest = request.parameter("digest")
    if digest is None:
        raise RegistryError(Code.DIGEST_INVALID, detail="no digest given")
    grammar.check_digest(digest)
    upload = store.uploads.get(name, key)
    async with upload.turn:
        await _append(request, upload, digest.partition(":")[0])
        store.uploads.forget(upload)
        store.state.changed()
        return await _finish(store, request, upload, digest)


async def status(store: Store, request: Request, name: str, key: str) -> Response:
    """Return how far the upload is."""
    return Response(204, progress(request, store.uploads.get(name, key)))


async def cancel(store: Store, request: Request, name: str, key: str) -> Response:  # noqa: ARG001
    """End the session and drop what arrived."""
    store.uploads.cancel(store.uploads.get(name, key))
    store.state.changed()
    return Response(204)


async def _append(request: Request, upload: Upload, algorithm: str = "sha256") -> None:
    if (announced := request.headers.get("content-range")) is not None:
        first, last = grammar.parse_chunk(announced)
        if first != upload.offset:
            raise RegistryError(Code.BLOB_UPLOAD_INVALID, 416, f"chunk {announced}", progress(request, upload))
        if request.announced not in {None, last - first + 1}:
            raise RegistryError(Code.SIZE_INVALID, detail=f"chunk {announced} of {request.announced} bytes")
    await upload.append(request.stream(), algorithm)


async def _finish(store: Store, request: Request, upload: Upload, digest: str) -> Response:
    if upload.offset and upload.algorithm != digest.partition(":")[0]:
        await asyncio.to_thread(upload.finish, digest)  # reads all of it again
    else:
        upload.finish(digest)
    store.state.add_blob(upload.repository, digest)
    return _created(request, upload.repository, digest)


def _created(request: Request, name: str, digest: str) -> Response:
    location = f"{request.origin}/v2/{name}/blobs/{digest}"
    return Response(201, {"Location": location, "Docker-Content-Digest": digest})


def progress(request: Request, upload: Upload) -> dict[str, str]:
    """Return the headers that tell where an upload goes on, and how far it is."""
    return {
        # A query, as docker-registry gives: oras 0.0.1 and 0.0.11 put `&digest=` behind whatever they get.
        "Location": f"{request.origin}/v2/{upload.repository}/blobs/uploads/{upload.key}?_state={upload.key}",
        "Range": f"0-{max(upload.offset - 1, 0)}",
        "Docker-Upload-UUID": upload.key,
    }
