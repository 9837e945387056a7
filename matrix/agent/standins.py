"""Stands in for objects of other packages: only what the recording holds can be asked of them."""

from __future__ import annotations

import types
from typing import Any, Dict, List

from .finding import Unreplayable
from .values import Decoder, Json

STAND_INS: List[Any] = []  # modules of the caller's that hold only what annotations mention


class Duck:
    """An object of a class that the trace does not hold."""

    def __getattr__(self, name: str) -> Any:
        """Say that nothing is known of an attribute; Python's own questions are answered as usual."""
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        raise Unreplayable("%s.%s of another package" % (type(self).__name__, name))


class Unknown(Duck):
    """An attribute that the trace could not express: it is there, and nothing can be done with it."""

    def __init__(self, reason: str) -> None:
        """Keep why."""
        self.__dict__["_caliper_reason"] = reason

    def refuse(self, *_: Any, **__: Any) -> Any:
        """Say why nothing is known of it."""
        raise Unreplayable(self.__dict__["_caliper_reason"])

    __getattr__ = __get__ = __call__ = __iter__ = __next__ = __len__ = __bool__ = __enter__ = __contains__ = refuse
    __getitem__ = __setitem__ = __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __str__ = __repr__ = refuse
    __hash__ = refuse


def expressed(decoder: Decoder, value: Json) -> Any:
    """Return the object of an attribute, or one that says that nothing is known of it."""
    try:
        return decoder.decode(value)
    except Unreplayable as error:
        return Unknown(str(error))


class Answer:
    """An HTTP response as clients see it; the names are those of requests and httpx."""

    def __init__(self, facts: Dict[str, Any]) -> None:
        """Hold what was recorded."""
        self.status_code, self.reason, self.url = facts["status_code"], facts["reason"], facts["url"]
        self.content = facts["content"]
        self.headers = Headers(facts["headers"])
        self.request = types.SimpleNamespace(url=facts["request"])
        self.ok = self.status_code is not None and self.status_code < 400
        self.encoding = "utf-8"

    @property
    def text(self) -> str:
        """Return the body as text."""
        return str(self.content.decode("utf-8", "replace"))

    def json(self, **_: Any) -> Any:
        """Return the body's JSON, or raise ValueError."""
        import json

        return json.loads(self.content)

    def iter_content(self, chunk_size: int = 1, **_: Any) -> Any:
        """Yield the body in parts."""
        for start in range(0, len(self.content), chunk_size or len(self.content) or 1):
            yield self.content[start : start + (chunk_size or len(self.content))]

    def raise_for_status(self) -> None:
        """Raise OSError where the status is an error, as requests does."""
        if not self.ok:
            raise OSError("%s Error: %s for url: %s" % (self.status_code, self.reason, self.url))

    @property
    def links(self) -> Dict[str, Dict[str, str]]:
        """Return the parsed ``Link`` header, by relation."""
        import re

        found = re.findall(r"<([^>]*)>\s*;\s*rel=\"?([^\",;]+)", self.headers.get("link", ""))
        return {relation: {"url": url, "rel": relation} for url, relation in found}

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def __enter__(self) -> "Answer":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


class Headers(Dict[str, str]):
    """Headers, whose names are the same in any case."""

    def __init__(self, items: Dict[str, str]) -> None:
        """Hold them."""
        super().__init__({name.lower(): value for name, value in items.items()})

    def __getitem__(self, name: str) -> str:
        """Return a header, or raise KeyError."""
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        """Say whether it is there."""
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, or the default."""
        return super().get(name.lower(), default)


def new_mock(decoder: Decoder, definition: Json) -> Any:
    """Make a mock from its definition."""
    import unittest.mock

    kind = {
        "Mock": unittest.mock.Mock,
        "MagicMock": unittest.mock.MagicMock,
        "AsyncMock": getattr(unittest.mock, "AsyncMock", None),
    }.get(definition["class"])
    if kind is None:
        raise Unreplayable("a mock of class %s" % definition["class"])
    made = kind(**{name: decoder.decode(item) for name, item in definition["state"].items()})
    for name, child in definition.get("children", {}).items():
        setattr(made, name, decoder.decode(child))
    return made
