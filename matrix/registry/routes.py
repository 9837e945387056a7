"""What a path means."""

import re
from dataclasses import dataclass

from matrix.registry.access import Scope
from matrix.registry.grammar import check_name, is_name
from matrix.registry.messages import Request

# The name is greedy: it may itself contain `blobs` or `manifests`, so the last ones in a path count.
_PATHS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("catalog", re.compile(r"/v2/_catalog")),
    ("tags", re.compile(r"/v2/(.+)/tags/list")),
    ("uploads", re.compile(r"/v2/(.+)/blobs/uploads/?")),
    ("upload", re.compile(r"/v2/(.+)/blobs/uploads/([^/]+)")),
    ("blob", re.compile(r"/v2/(.+)/blobs/([^/]+)")),
    ("manifest", re.compile(r"/v2/(.+)/manifests/([^/]+)")),
    ("referrers", re.compile(r"/v2/(.+)/referrers/([^/]+)")),
    ("base", re.compile(r"/v2/?")),
)
_ACTIONS = {"GET": {"pull"}, "HEAD": {"pull"}, "DELETE": {"delete"}}


@dataclass(frozen=True, slots=True)
class Route:
    """The kind of thing that a path is about, and the parts of the path that name it, the repository first."""

    kind: str
    parts: tuple[str, ...]

    def needs(self, request: Request) -> list[Scope]:
        """Return what the client needs a right to."""
        if self.kind == "catalog":
            return [Scope("registry", "catalog", frozenset("*"))]
        if not self.parts or not is_name(self.parts[0]):  # what is malformed has no place in a challenge
            return []
        actions = {"pull", "push"} if self.kind in {"uploads", "upload"} else _ACTIONS.get(request.method)
        needed = [Scope("repository", self.parts[0], frozenset(actions or {"pull", "push"}))]
        if self.kind == "uploads" and request.parameter("mount") and is_name(source := request.parameter("from") or ""):
            needed.append(Scope("repository", source, frozenset({"pull"})))
        return needed

    def check(self) -> None:
        """Return if the name of the repository is well formed; a `RegistryError` (NAME_INVALID) if not."""
        if self.parts:
            check_name(self.parts[0])


def find(path: str) -> Route:
    """Return what the path means; of the kind ``unknown`` if nothing does, which only those may learn who get in."""
    for kind, pattern in _PATHS:
        if match := pattern.fullmatch(path):
            return Route(kind, match.groups())
    return Route("unknown", ())
