"""Finding what a recorded call calls before the world around it is made."""

from pathlib import Path
from typing import Any

import pytest

from matrix.agent.access import expect
from matrix.agent.finding import Broken, Missing

MODULE = """
class Thing:
    def __init__(self, size):
        self.given = size
    def use(self):
        return self.given

class Asked:
    def __getattr__(self, name):
        return name

class Later(Thing):
    pass

def plain():
    return 1
"""


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a module ``accessed``, and one that does not import."""
    (tmp_path / "accessed.py").write_text(MODULE, encoding="utf-8")
    (tmp_path / "accessed_broken.py").write_text("raise RuntimeError('no')", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)


def on(kind: str, name: str, **more: str) -> dict[str, Any]:
    """Return the access of a method of an object that is constructed."""
    return {"receiver": {"$new": f"accessed:{kind}", "args": []}, "name": name, **more}


@pytest.mark.parametrize(
    "access",
    [
        {"path": "accessed:plain"},
        {"path": "accessed:__getattr__"},
        on("Thing", "use"),
        on("Thing", "given"),
        on("Asked", "anything"),
        on("Later", "use"),
        on("Later", "given"),
        on("Later", "gone", **{"class": "accessed:Thing"}),
        {"receiver": {"$ref": 1}, "name": "gone"},
        {"opaque": "a closure"},
    ],
)
def test_what_may_be_there_is_looked_for_later(access: dict[str, Any]) -> None:
    """Functions, methods, attributes that a constructor sets or a class makes up, and what only a replay can tell."""
    expect(access, ("accessed",))


@pytest.mark.parametrize(
    ("access", "error", "reason"),
    [
        ({"path": "accessed:gone"}, Missing, "accessed has no gone"),
        ({"path": "accessed.part:gone"}, Missing, "no module accessed.part"),
        ({"path": "accessed_broken:f"}, Broken, "RuntimeError: no"),
        (on("Gone", "use"), Missing, "accessed has no Gone"),
        (on("Thing", "gone"), Missing, "Thing has no gone"),
    ],
)
def test_what_is_not_there_is_told_at_once(access: dict[str, Any], error: type[BaseException], reason: str) -> None:
    """No object is constructed to find that its class has no such method."""
    with pytest.raises(error, match=reason):
        expect(access, ("accessed", "accessed_broken"))
