"""Attributes of the subject's modules, classes and objects that the caller changes: patches, and their undoing."""

from __future__ import annotations

import functools
import inspect
import sys
import types
import weakref
from itertools import chain
from operator import is_
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from .values import Json

IGNORED = {"__builtins__", "__cached__", "__abstractmethods__", "_abc_impl", "__doc__", "__warningregistry__"}
MAX_ROOTS = 64


# What stands behind the attributes of each namespace in a row of them.
END = (object(),)


class Row:
    """The attributes of some namespaces in a row, to see at once whether all are the same objects still.

    There are thousands of them, looked at before and after every call, so no Python code is run for each; ``id`` is
    an audit event, and takes as long.
    """

    def __init__(self, spaces: Iterable[Any]) -> None:
        """Look at ``spaces``, the dictionaries of modules, classes or objects."""
        self.views: List[Any] = []
        for space in spaces:
            self.views += (space.values(), END)
        self.look()

    def look(self) -> None:
        """Take them as they are."""
        self.last = [*chain.from_iterable(self.views)]

    def is_same(self) -> bool:
        """Say whether they are as they were when this last looked: the ends let no two rows of other lengths pass."""
        return all(map(is_, chain.from_iterable(self.views), self.last))


class Owner:
    """A namespace under watch, as it was last seen."""

    __slots__ = ("first", "gone", "hold", "key", "last", "space")

    def __init__(self, target: Any, space: Any, gone: Callable[[], None] = lambda: None) -> None:
        """Begin to watch ``space``, the attributes of ``target``; it may die when it would, and ``gone`` is called."""
        self.key, self.gone = id(target), gone
        try:
            self.hold: Any = weakref.ref(target, self.clear)
        except TypeError:
            self.hold = lambda: target
        self.space = space
        self.last: Dict[str, Any] = dict(space)
        self.first = dict(space)

    @property
    def target(self) -> Any:
        """Return what is watched, None when it is gone."""
        return self.hold()

    def clear(self, _: Any) -> None:
        """Let go of the attributes of what is gone."""
        self.space, self.last, self.first = {}, {}, {}
        self.gone()

    def is_same(self) -> bool:
        """Say whether the attributes are those of the last look, in their order."""
        return len(self.space) == len(self.last) and all(map(is_, self.space.values(), self.last.values()))

    def changed(self) -> List[str]:
        """Return the names whose objects are not those of the last look."""
        if self.is_same():
            return []
        new = dict(self.space)
        names = [name for name in {**self.last, **new} if self.last.get(name, self) is not new.get(name, self)]
        self.last = new
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
        self.owners: List[Owner] = []  # modules and classes
        self.fixed: Dict[int, Owner] = {}  # the same, by what is watched
        self.row = Row(())
        self.objects: Dict[int, Owner] = {}
        self.parts: Optional[Row] = Row(())  # of the objects; None when one is gone
        self.roots: Dict[Any, List[Owner]] = {}  # of results, by their entry: the object and its parts
        self.patched: Dict[int, List[Tuple[Any, str]]] = {}

    def add(self, module: types.ModuleType) -> None:
        """Watch a module of the subject and the classes that it defines."""
        kinds = [kind for kind in list(vars(module).values()) if isinstance(kind, type)]
        for target in (module, *(kind for kind in kinds if kind.__module__ == module.__name__)):
            owner = Owner(target, vars(target))
            self.owners.append(owner)
            self.fixed[owner.key] = owner
        self.take()

    def take(self) -> None:
        """Take modules and classes as they are now."""
        for owner in self.owners:
            owner.changed()
        self.row = Row(owner.space for owner in self.owners)

    def refresh(self) -> None:
        """Take everything as it is now: the subject did it."""
        if not self.row.is_same():
            self.take()
        found = list(self.ledger.known.roots.values())
        lasting = [entry for entry in found if entry.call <= self.ledger.loaded][:MAX_ROOTS]
        entries = [*lasting, *found[max(len(lasting), len(found) - MAX_ROOTS) :]]
        same = self.parts is not None and self.parts.is_same()
        if same and entries == [*self.roots]:
            return
        roots: Dict[Any, List[Owner]] = {}
        for entry in entries:
            known = self.roots.get(entry)
            roots[entry] = known if same and known is not None else self.look(entry.hold())
        self.roots = roots
        watched = {owner.key: owner for owners in roots.values() for owner in owners}
        # What callers set of a function is in the module, or the stub, that it is of; its attributes lead to parts.
        self.objects = {
            key: owner for key, owner in watched.items() if not isinstance(owner.target, types.FunctionType)
        }
        self.parts = Row(owner.space for owner in watched.values())

    def look(self, root: Any) -> List[Owner]:
        """Return what watches an object and its parts, as they are now."""
        owners: List[Owner] = []
        for obj in self.with_parts(root):
            owner = self.objects.get(id(obj))
            if owner is not None and owner.target is obj:
                owner.changed()
            else:
                owner = self.objects[id(obj)] = Owner(obj, vars(obj), self.lose)
            owners.append(owner)
        return owners

    def lose(self) -> None:
        """Let go of the attributes of an object that is gone."""
        self.parts = None

    def with_parts(self, root: Any) -> Iterator[Any]:
        """Yield an object of the subject's and its attributes that are such objects too."""
        snapshots = self.ledger.snapshots
        is_subjects = snapshots.is_subjects
        # A result may be of a class of the caller's: one that the subject finished.
        made = is_subjects(type(root)) or snapshots.is_suites(type(root))
        function = isinstance(root, types.FunctionType)
        if root is None or not (made or function) or type(getattr(root, "__dict__", None)) is not dict:
            return
        yield root
        for item in list(vars(root).values()):
            if is_subjects(type(item)) and type(getattr(item, "__dict__", None)) is dict:
                yield item

    def changes(self) -> Iterator[Json]:
        """Yield an event for each attribute that the caller set, deleted or put back."""
        if not self.row.is_same():
            yield from self.patches(self.owners)
            self.row.look()
        if self.parts is None or not self.parts.is_same():
            self.parts = None  # what they hold may be other objects now
            yield from self.patches([*self.objects.values()])
        yield from self.monkeypatches()

    def patches(self, owners: List[Owner]) -> Iterator[Json]:
        """Yield an event for each changed attribute of some namespaces."""
        for owner in owners:
            if owner.is_same():
                continue
            for name in owner.changed() if owner.target is not None else ():
                if self.is_patch(owner, name):
                    yield self.event(owner.target, name, owner.space.get(name, self), owner.first.get(name, self))

    @staticmethod
    def is_patch(owner: Owner, name: str) -> bool:
        """Say whether a changed attribute is the caller's doing."""
        if isinstance(owner.target, types.ModuleType):
            if isinstance(owner.space.get(name), types.ModuleType):
                return False  # a submodule that was imported
            if name not in owner.first and name not in owner.space:
                return False
        return not is_cached(owner.target, name)

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
        if "undo" not in made and is_strict(target, name):
            made["strict"] = True
        return made

    def monkeypatches(self) -> Iterator[Json]:
        """Yield an event for each patch of others' attributes that pytest's ``monkeypatch`` holds."""
        module = sys.modules.get("_pytest.monkeypatch")
        if module is None:
            return
        for patcher in PATCHERS[:]:
            if not patcher._setattr and not self.patched:
                continue
            new = [
                (target, name)
                for target, name, _ in patcher._setattr
                if not self.is_watched(target) and not is_runners(target)
            ]
            old = self.patched.pop(id(patcher), [])
            if new:
                self.patched[id(patcher)] = new if len(new) != len(old) else old
            for target, name in new[len(old) :]:
                yield self.event(target, name, getattr(target, name, self), None)
            for target, name in old[len(new) :]:
                yield {"e": "patch", "target": self.ledger.snapshots.argument(target), "name": name, "undo": True}

    def is_watched(self, target: Any) -> bool:
        """Say whether changes of ``target`` are seen anyway."""
        key = id(target)
        owner = self.fixed.get(key)
        return (owner is not None and owner.target is target) or key in self.objects


def is_runners(target: Any) -> bool:
    """Say whether an object is the test runner's own: what it patches in itself is no business of the tests."""
    kind = target if isinstance(target, type) else type(target)
    name = target.__name__ if isinstance(target, types.ModuleType) else kind.__module__
    return name.split(".")[0] in ("_pytest", "pytest", "pluggy", "xdist")


PATCHERS: List[Any] = []
LENIENT: Any = weakref.WeakKeyDictionary()  # of a patcher: what it would have set where it is not there, too
MOCKS: List[Any] = []  # patches of unittest.mock that are in force, as weak references


def watch_monkeypatch(module: Any) -> None:
    """Note each of pytest's patchers as it is made, and which of its patches need no attribute there."""
    kind = module.MonkeyPatch
    original = kind.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 # it takes the place of the class's own
        original(self, *args, **kwargs)
        PATCHERS.append(self)
        del PATCHERS[:-20]

    kind.__init__ = __init__
    kind.setattr = noting(kind.setattr, 3)
    kind.delattr = noting(kind.delattr, 2)


def noting(change: Callable[..., None], raising: int) -> Callable[..., None]:
    """Return a patcher's method that notes what it was told to change only where it is there, by its argument."""

    @functools.wraps(change)
    def changing(self: Any, *args: Any, **kwargs: Any) -> None:
        before = len(self._setattr)
        change(self, *args, **kwargs)
        if not kwargs.get("raising", args[raising] if len(args) > raising else True):
            LENIENT.setdefault(self, []).extend((id(target), name) for target, name, _ in self._setattr[before:])

    return changing


def watch_mock(module: Any) -> None:
    """Note each patch of ``unittest.mock`` that found what it patches."""
    kind = module._patch
    original = kind.get_original

    @functools.wraps(original)
    def get_original(self: Any) -> Any:
        found = original(self)
        MOCKS.append(weakref.ref(self))
        del MOCKS[:-20]
        return found

    kind.get_original = get_original


def is_strict(target: Any, name: str) -> bool:
    """Say whether who patched an attribute raises where it is not there."""
    for patcher in PATCHERS:
        if any(patched is target and attribute == name for patched, attribute, _ in patcher._setattr):
            return (id(target), name) not in LENIENT.get(patcher, ())
    mocks = [mock for mock in (mock() for mock in MOCKS) if mock is not None and not mock.create]
    return any(getattr(mock, "target", None) is target and mock.attribute == name for mock in mocks)
