"""Endpoints that list: tags of a repository (end-8) and repositories; and pages of a list."""

import json
from urllib.parse import urlencode

from matrix.registry.grammar import parse_count
from matrix.registry.messages import Request, Response
from matrix.registry.store import Store


async def tags(store: Store, request: Request, name: str) -> Response:
    """Return tags in order, whatever their case, at most ``n`` of those after ``last``."""
    found, link = page(request, store.state.tags(name, request.parameter("last")))
    return Response(
        200, {"Content-Type": "application/json"} | link, json.dumps({"name": name, "tags": found}).encode()
    )


async def catalog(store: Store, request: Request) -> Response:
    """Return names of repositories, at most ``n`` of those after ``last``."""
    found, link = page(request, store.state.names(request.parameter("last")))
    return _listing({"repositories": found}, link)


def _listing(content: dict[str, str | list[str]], link: dict[str, str]) -> Response:
    return Response(200, {"Content-Type": "application/json"} | link, json.dumps(content).encode())


def page(request: Request, entries: list[str]) -> tuple[list[str], dict[str, str]]:
    """Return the first ``n`` entries, and a ``Link`` header to the rest if there is one."""
    limit = parse_count(request.parameter("n"))
    if limit is None or limit >= len(entries):
        return entries, {}
    shown = entries[:limit]
    if not shown:
        return [], {}
    kept = [(key, value) for key, value in request.query if key not in {"n", "last"}]
    query = urlencode([*kept, ("n", str(limit)), ("last", shown[-1])])
    return shown, {"Link": f'<{request.path}?{query}>; rel="next"'}
