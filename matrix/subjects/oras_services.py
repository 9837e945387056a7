"""The services that the suite of oras talks to."""

import base64
import contextlib
import json
from collections.abc import Callable, Iterator
from typing import Any

from matrix.registry import Registry
from matrix.registry.choice import EMBEDDED, AnyRegistry, credentials_of, open_registry, reachable
from matrix.registry.state import RepositorySnapshot
from matrix.services import Service, Services


class RegistryService(Service):
    """A registry, with its state."""

    def __init__(self, registry: AnyRegistry) -> None:
        """Make one of a registry that runs."""
        self.registry = registry

    def generation(self) -> int:
        """Return a number that changes whenever the state does."""
        return self.registry.generation

    def announce(self, changed: Callable[[], None]) -> bool:
        """Tell of each change, where the registry is ours; another one is asked."""
        if not isinstance(self.registry, Registry):
            return False
        self.registry.store.state.announce = changed
        return True

    def snapshot(self) -> object:
        """Return the state: the names of what is there."""
        return {name: part for name, part in self.registry.snapshot().items() if name != "generation" and part}

    def contents(self, state: object) -> dict[str, bytes]:
        """Return the blobs of a state, by digest."""
        return {digest: self.registry.read_blob(digest) for digest in digests(state)}

    def restore(self, state: Any, contents: dict[str, bytes]) -> None:
        """Bring the registry into a state."""
        for digest in digests(state):
            if digest in contents:
                self.registry.add_blob(contents[digest])
        self.registry.restore({"generation": 0, "repositories": {}, **state})  # type: ignore[typeddict-item]


def digests(state: Any) -> list[str]:
    """Return the digests that a state names."""
    found: set[str] = set()
    for repository in state.get("repositories", {}).values():
        found |= {*repository["manifests"], *repository["blobs"]}
    for upload in state.get("uploads", {}).values():
        found |= {upload["content"]} if "content" in upload else set()
    return sorted(found)


# What one test lists: a repository with 1,600 tags, that its registry gives in pages of a thousand.
MANY = "channel-mirrors/conda-forge/linux-aarch64/arrow-cpp"
TAGS = 1600
PAGE = 1000
USER, PASSWORD = "myuser", "mypass"  # the suite's own defaults


def seed(registry: Registry) -> None:
    """Put the repository with many tags into a registry."""
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": EMPTY, "size": 2},
            "layers": [],
        }
    ).encode()
    registry.add_blob(b"{}")
    digest = registry.add_blob(manifest)
    tags = {f"{number}.0.0": digest for number in range(TAGS)}
    repository: RepositorySnapshot = {"tags": tags, "manifests": {digest: MANIFEST}, "blobs": [EMPTY]}
    registry.restore({"generation": 0, "repositories": {MANY: repository}})


MANIFEST = "application/vnd.oci.image.manifest.v1+json"
EMPTY = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


@contextlib.contextmanager
def services(profile: str, registry: str = EMBEDDED) -> Iterator[Services]:
    """Start what a profile needs, for as long as the context lasts: its registry, and one that stands for ghcr.io.

    ``registry`` says which one the profile's is: ``embedded``, ``docker-registry``, or the URL of an empty one.
    """
    secret = profile == "auth"
    named = credentials_of(registry)
    user, password = named or (USER, PASSWORD)
    with (
        open_registry(registry, (user, password) if secret else None) as main,
        Registry(tls=True, names=["ghcr.io"], switches=[f"short-pages={PAGE}"]) as ghcr,
    ):
        seed(ghcr)
        yield Services(
            env={
                "ORAS_HOST": main.host,
                "ORAS_PORT": str(main.port),
                "ORAS_AUTH": "true" if secret else "false",
                **({"ORAS_USER": user, "ORAS_PASS": password} if named else {}),
                "REQUESTS_CA_BUNDLE": str(ghcr.ca_file),
                # A login asks a Docker daemon first, if there is one: that would not be the client's own doing.
                "DOCKER_HOST": "tcp://127.0.0.1:1",
            },
            templates={
                "registry": main.address,
                "registry_port": str(main.port),
                "authority": str(ghcr.ca_file),
                "password": password,
                "credentials": base64.b64encode(f"{user}:{password}".encode()).decode(),
            },
            services={"registry": RegistryService(main)},
            redirects={"ghcr.io:443": ghcr.address},
            allowed=reachable(main),
        )
