"""Brings the world of a test into the state that it had when it was recorded."""

from __future__ import annotations

import contextlib
import os
from typing import Any, Dict, Iterator, List, Tuple

from . import world
from .finding import Broken, Missing, Stop, first_line
from .results import MISSING
from .standard import BadValue


class Setting:
    """The files, the environment, the services and the patched attributes around one test."""

    def __init__(self, player: Any) -> None:
        """Make one for a replayer."""
        self.player = player
        self.patches: List[Tuple[Any, str, Any]] = []

    def on_files(self, event: Dict[str, Any]) -> None:
        """Bring files into the state that the caller made."""
        self.player.files.apply(event["changes"], self.content)

    def content(self, digest: str) -> bytes:
        """Return a stored content."""
        data: bytes = self.player.decoder.stored(digest)
        return data

    def on_env(self, event: Dict[str, Any]) -> None:
        """Set or unset variables of the environment."""
        for name, value in event["changes"].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = self.player.decode(value)

    def on_cwd(self, event: Dict[str, Any]) -> None:
        """Change the working directory."""
        path = self.player.decode(event["path"])
        roots = tuple(root + os.sep for root in self.player.files.roots.values())
        if not (os.path.realpath(path) + os.sep).startswith(roots):
            raise BadValue("a working directory outside of the working folders: %r" % path)
        os.chdir(path)

    def on_service(self, event: Dict[str, Any]) -> None:
        """Bring a service into a state."""
        self.player.restore(event["name"], event["state"])

    def on_hold(self, event: Dict[str, Any]) -> None:
        """Change a collection of the caller's as the caller did."""
        with contextlib.suppress(Stop, AttributeError):
            target = self.player.decode({"$inst": event["inst"]})
            for name in event.get("gone", ()):
                object.__delattr__(target, name)
            for name, value in event.get("state", {}).items():
                object.__setattr__(target, name, self.player.decode(value))
            if "state" in event:
                return
            if "added" in event:
                target.extend(self.player.decode(event["added"]))
                return
            data = self.player.decode(event["data"])
            target.clear()
            (target.extend if isinstance(target, list) else target.update)(data)

    def on_patch(self, event: Dict[str, Any]) -> None:
        """Set, delete or put back an attribute; what is not there is left alone, unless who patched it would fail."""
        name = event["name"]
        try:
            target = self.player.decode(event["target"])
        except Stop as error:
            if event.get("strict") and isinstance(error, (Missing, Broken)):
                self.cannot(name, str(error))
            return
        if event.get("undo"):
            self.undo(target, name)
            return
        if event.get("strict"):
            try:
                getattr(target, name)
            except Exception as error:
                self.cannot(name, "cannot be patched: %s: %s" % (type(error).__name__, first_line(error)))
                return
        old = vars(target)[name] if has_own(target, name) else MISSING
        try:
            if event.get("deleted"):
                delattr(target, name)
            else:
                setattr(target, name, self.player.decode(event["value"]))
        except (AttributeError, TypeError):
            return
        except Stop:
            return
        self.patches.append((target, name, old))

    def cannot(self, name: str, reason: str) -> None:
        """Report that the caller could not patch an attribute."""
        self.player.report({"read": name, "verdict": "missing", "detail": reason})

    def undo(self, target: Any, name: str) -> None:
        """Put an attribute back as it was before its patches."""
        for index, (patched, attribute, old) in enumerate(self.patches):
            if patched is target and attribute == name:
                put_back(target, name, old)
                later = [p for p in self.patches[index:] if p[0] is not target or p[1] != name]
                self.patches = [*self.patches[:index], *later]
                return

    @contextlib.contextmanager
    def restoring(self, work: str) -> Iterator[None]:
        """Begin in the working folder; in the end put back the environment and what was patched."""
        before = world.environment()
        os.chdir(work)
        yield
        for target, name, old in reversed(self.patches):
            put_back(target, name, old)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})

    def surround(self, entries: Dict[str, Any], states: Dict[str, str]) -> None:
        """Bring files and services into a state."""
        self.player.files.bring(
            {name: tuple(entry) for name, entry in entries.items() if entry is not None}, self.content
        )
        for name in self.player.services:
            self.player.restore(name, states.get(name))

    def is_inside(self, path: str) -> bool:
        """Say whether a path is in one of the working folders."""
        return os.path.realpath(path).startswith(tuple(root + os.sep for root in self.player.files.roots.values()))


def has_own(target: Any, name: str) -> bool:
    """Say whether an attribute is the object's own."""
    try:
        return name in vars(target)
    except TypeError:
        return False


def put_back(target: Any, name: str, old: Any) -> None:
    """Set an attribute to what it was, or remove it."""
    with contextlib.suppress(AttributeError, TypeError):
        if old is MISSING:
            delattr(target, name)
        else:
            setattr(target, name, old)
