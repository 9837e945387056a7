"""Results as an OCI artifact: pushed to a registry, and fetched from one with every digest checked."""

from matrix.publish.artifact import ARTIFACT_TYPE, Artifact, Layer, collect
from matrix.publish.pull import Published, pull
from matrix.publish.push import Push, push
from matrix.publish.reference import Reference
from matrix.publish.remote import Remote

__all__ = ["ARTIFACT_TYPE", "Artifact", "Layer", "Published", "Push", "Reference", "Remote", "collect", "pull", "push"]
