"""The services that the suite of oras talks to."""

import contextlib
from collections.abc import Iterator

from matrix.registry import Registry
from matrix.services import Service, Services


class RegistryService(Service):
    """An embedded registry, with its state."""

    def __init__(self, registry: Registry) -> None:
        """Make one of a registry that runs."""
        self.registry = registry

    def generation(self) -> int:
        """Return a number that changes whenever the state does."""
        return self.registry.generation

    def snapshot(self) -> object:
        """Return the state: the names of what is there."""
        return {"repositories": self.registry.snapshot()["repositories"]}

    def contents(self, state: object) -> dict[str, bytes]:
        """Return the blobs of a state, by digest."""
        return {digest: self.registry.read_blob(digest) for digest in digests(state)}

    def restore(self, state: object, contents: dict[str, bytes]) -> None:
        """Bring the registry into a state."""
        for digest in digests(state):
            if digest in contents:
                self.registry.add_blob(contents[digest])
        self.registry.restore({"generation": 0, **state})  # type: ignore[arg-type]


def digests(state: object) -> list[str]:
    """Return the digests that a state names."""
    found: set[str] = set()
    for repository in state["repositories"].values():  # type: ignore[index]
        found |= {*repository["manifests"], *repository["blobs"]}
    return sorted(found)


@contextlib.contextmanager
def services(profile: str) -> Iterator[Services]:
    """Start what a profile needs, for as long as the context lasts."""
    with Registry() as registry:
        yield Services(
            env={"ORAS_HOST": registry.host, "ORAS_PORT": str(registry.port)},
            templates={"registry": registry.address, "registry_port": str(registry.port)},
            services={"registry": RegistryService(registry)},
        )
