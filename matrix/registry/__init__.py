"""An OCI registry (distribution specification 1.1) for tests: complete, quick to start, with snapshots of its state."""

from matrix.registry.server import Registry

__all__ = ["Registry"]
