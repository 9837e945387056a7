"""Files whose content is noise: a digest that a call gives of one is compared by whose it is, not by its text."""

from collections.abc import Mapping, Sequence
from typing import Any

from matrix.compare import Json, escaped, normal

Made = Mapping[str, Any]


class Noisy:
    """The digests of such files on one side of a comparison, as they come."""

    def __init__(self, masks: Mapping[int, Sequence[str]]) -> None:
        """Know no file yet; ``masks`` tell which are noise, by call."""
        self.masks = masks
        self.names: dict[str, str] = {}

    def told(self, ident: int, made: Made) -> Made:
        """Return a call or its report with names in the place of such digests, after noting the files that it made."""
        for name, entry in made.get("effects", {}).get("files", {}).items():
            if entry and f"effects/files/{escaped(normal(name))}/1" in self.masks.get(ident, ()):
                self.names[entry[1]] = f"{{content of {normal(name)}}}"
        return {**made, "outcome": self.named(made["outcome"])} if self.names and "outcome" in made else made

    def named(self, value: Json) -> Json:
        """Return a value with each text in it that is such a digest replaced."""
        if isinstance(value, dict):
            return {key: self.named(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.named(item) for item in value]
        return self.names.get(value, value) if isinstance(value, str) else value
