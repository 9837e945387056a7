"""Attributes of the subject's modules, classes and objects that the caller changes: patches, and their undoing."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import weakref
from typing import Any, Dict, Iterator, List, Optional, Tuple

from .values import Json

IGNORED = {"__builtins__", "__cached__", "__abstractmethods__", "_abc_impl", "__doc__", "__warningregistry__"}
MAX_ROOTS = 64


class Owner:
    """A namespace under watch, as it was last seen."""

    __slots__ = ("first", "hold", "ids", "last", "space")

    def __init__(self, target: Any, space: Any) -> None:
        """Begin to watch ``space``, the attributes of ``target``, which may die when it would."""
        try:
            self.hold: Any = weakref.ref(target, self.clear)
        except TypeError:
            self.hold = lambda: target
        self.space = space
        self.last: Dict[str, Any] = dict(space)
        self.first = dict(space)
        self.ids = [*map(id, space.values())]

    @property
    def target(self) -> Any:
        """Return what is watched, None when it is gone."""
        return self.hold()

    def clear(self, _: Any) -> None:
        """Let go of the attributes of what is gone."""
        self.space, self.last, self.first, self.ids = {}, {}, {}, []

    def changed(self) -> List[str]:
        """Return the names whose objects are not those of the last look."""
        ids = [*map(id, self.space.values())]
        if ids == self.ids:
            return []
        new = dict(self.space)
        names = [name for name in {**self.last, **new} if self.last.get(name, self) is not new.get(name, self)]
        self.last, self.ids = new, ids
        return sorted(name for name in names if isinstance(name, str) and name not in IGNORED)


def is_cached(target: Any, name: str) -> bool:
    """Say whether an attribute of an object is one that ``functools.cached_property`` stores."""
    return not isinstance(target, type) and isinstance(
        inspect.getattr_static(type(target), name, None), functools.cached_property
    )


class Watch:
    """Looks for patches before each call, and takes what the subject itself changed for granted after it."""

    def __init__(self, ledger: Any) -> None:
        """Begin with nothing to watch."""
        self.ledger = ledger
        self.owners: List[Owner] = []
        self.objects: Dict[int, Owner] = {}
        self.patched: Dict[int, List[Tuple[Any, str]]] = {}

    def add(self, module: types.ModuleType) -> None:
        """Watch a module of the subject and the classes that it defines."""
        self.owners.append(Owner(module, vars(module)))
        for kind in list(vars(module).values()):
            if isinstance(kind, type) and kind.__module__ == module.__name__:
                self.owners.append(Owner(kind, vars(kind)))

    def refresh(self) -> None:
        """Take everything as it is now: the subject did it."""
        for owner in self.owners:
            owner.changed()
        known = self.ledger.known
        objects: Dict[int, Owner] = {}
        roots = list(known.roots.values())
        lasting = [entry for entry in roots if entry.call <= self.ledger.loaded][:MAX_ROOTS]
        for entry in [*lasting, *roots[max(len(lasting), len(roots) - MAX_ROOTS) :]]:
            for obj in self.with_parts(entry.hold()):
                old = self.objects.get(id(obj))
                if old is not None and old.target is obj:
                    old.changed()
                    objects[id(obj)] = old
                else:
                    objects[id(obj)] = Owner(obj, vars(obj))
        self.objects = objects

    def with_parts(self, root: Any) -> Iterator[Any]:
        """Yield an object of the subject's and its attributes that are such objects too."""
        snapshots = self.ledger.snapshots
        is_subjects = snapshots.is_subjects
        # A result may be of a class of the caller's: one that the subject finished.
        made = is_subjects(type(root)) or snapshots.is_suites(type(root))
        function = isinstance(root, types.FunctionType)
        if root is None or not (made or function) or type(getattr(root, "__dict__", None)) is not dict:
            return
        if not function:  # what callers set of a function is in the module, or the stub, that it is of
            yield root
        for item in list(vars(root).values()):
            if is_subjects(type(item)) and type(getattr(item, "__dict__", None)) is dict:
                yield item

    def changes(self) -> Iterator[Json]:
        """Yield an event for each attribute that the caller set, deleted or put back."""
        for owner in [*self.owners, *self.objects.values()]:
            for name in owner.changed() if owner.target is not None else ():
                if isinstance(owner.space.get(name), types.ModuleType) and isinstance(owner.target, types.ModuleType):
                    continue  # a submodule that was imported
                if isinstance(owner.target, types.ModuleType) and name not in owner.first and name not in owner.space:
                    continue
                if is_cached(owner.target, name):
                    continue
                yield self.event(owner.target, name, owner.space.get(name, self), owner.first.get(name, self))
        yield from self.monkeypatches()

    def event(self, target: Any, name: str, value: Any, first: Any) -> Json:
        """Return the event of one change."""
        snapshots = self.ledger.snapshots
        made: Dict[str, Json] = {"e": "patch", "target": snapshots.argument(target), "name": name}
        if value is first:
            made["undo"] = True
        elif value is self:
            made["deleted"] = True
        else:
            value = getattr(value, "__func__", value) if isinstance(value, (staticmethod, classmethod)) else value
            made["value"] = snapshots.argument(value)
        return made

    def monkeypatches(self) -> Iterator[Json]:
        """Yield an event for each patch of others' attributes that pytest's ``monkeypatch`` holds."""
        module = sys.modules.get("_pytest.monkeypatch")
        if module is None:
            return
        for patcher in [obj for obj in PATCHERS if obj is not None]:
            new = [
                (target, name)
                for target, name, _ in patcher._setattr
                if not self.is_watched(target) and not is_runners(target)
            ]
            old = self.patched.get(id(patcher), [])
            if len(new) == len(old):
                continue
            self.patched[id(patcher)] = new
            for target, name in new[len(old) :]:
                yield self.event(target, name, getattr(target, name, self), None)
            for target, name in old[len(new) :]:
                yield {"e": "patch", "target": self.ledger.snapshots.argument(target), "name": name, "undo": True}

    def is_watched(self, target: Any) -> bool:
        """Say whether changes of ``target`` are seen anyway."""
        return any(owner.target is target for owner in self.owners) or id(target) in self.objects


def is_runners(target: Any) -> bool:
    """Say whether an object is the test runner's own: what it patches in itself is no business of the tests."""
    kind = target if isinstance(target, type) else type(target)
    name = target.__name__ if isinstance(target, types.ModuleType) else kind.__module__
    return name.split(".")[0] in ("_pytest", "pytest", "pluggy", "xdist")


PATCHERS: List[Optional[Any]] = []


def watch_monkeypatch(module: Any) -> None:
    """Note each of pytest's patchers as it is made."""
    kind = module.MonkeyPatch
    original = kind.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 # it takes the place of the class's own
        original(self, *args, **kwargs)
        PATCHERS.append(self)
        del PATCHERS[:-20]

    kind.__init__ = __init__
