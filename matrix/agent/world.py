"""What surrounds a call: files, the environment, the working directory."""

from __future__ import annotations

import os
import stat
from typing import Any, Dict, Iterator, List, Optional, Set, Tuple

from .templates import Templates

# What holds no data of a test: caches, environments, histories, pytest's lock with its process id.
SKIPPED = {
    ".lock", "__pycache__", ".git", ".hg", ".nox", ".tox", ".venv", "venv", "node_modules", ".mypy_cache",
    ".ruff_cache", ".pytest_cache", ".hypothesis", ".cache",
}  # fmt: skip
# The suite's own code is left out of a trace; its data is not.
SKIPPED_SUFFIXES = (".pyc", ".pyo", ".py")
MAX_FILE = 64 << 20
MAX_FILES = 20_000
# A longer file is not searched for what names this machine.
MAX_TEXT = 1 << 18

# What a file is: ("dir",), ("link", target), ("file", sha256, executable) or ("text", a template's sha256, executable).
Entry = Tuple[Any, ...]
Stamp = Tuple[int, int, int, int, int]


# What an audit event says of the files of a program.
CHANGES = {
    "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime",
    "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "shutil.rmtree", "os.fork", "os.forkpty",
}  # fmt: skip


EVENTS = frozenset((*CHANGES, "open"))


def may_change(event: str, args: Any) -> bool:
    """Say whether files may be other ones after an audit event: a look at the disk is then worth it."""
    if event == "open":
        mode, flags = args[1], args[2]
        return bool(flags & 3) if isinstance(flags, int) else isinstance(mode, str) and mode[:1] != "r"
    return event in CHANGES


class Files:
    """The files below some folders, by ``{name}/relative/path``; contents are read only where something changed."""

    def __init__(self, roots: Dict[str, str], store: Any, templates: Templates) -> None:
        """Make one; ``store(bytes)`` keeps a content and returns its digest, ``templates`` are hidden in texts."""
        self.templates = templates
        self.roots = {name: os.path.realpath(path) for name, path in roots.items()}
        self.store = store
        self.stamps: Dict[str, Stamp] = {}
        self.entries: Dict[str, Entry] = {}
        self.dirty = True

    def walk(self) -> Iterator[Tuple[str, str, os.stat_result]]:
        """Yield (name, path, status) of everything below the roots, a root inside another only once."""
        tops = set(self.roots.values())
        count = 0
        for root, top in self.roots.items():
            pending: List[Tuple[str, str]] = [("{%s}" % root, top)]
            while pending:
                name, folder = pending.pop()
                try:
                    found = sorted(os.scandir(folder), key=lambda entry: entry.name)
                except OSError:
                    continue
                for entry in found:
                    if entry.path in tops or not self.wanted(entry):
                        continue
                    count += 1
                    if count > MAX_FILES:
                        return
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    inner = "%s/%s" % (name, entry.name)
                    yield inner, entry.path, status
                    if stat.S_ISDIR(status.st_mode):
                        pending.append((inner, entry.path))

    @staticmethod
    def wanted(entry: Any) -> bool:
        """Say whether an entry is data."""
        return entry.name not in SKIPPED and not entry.name.endswith(SKIPPED_SUFFIXES)

    def scan(self) -> Dict[str, Optional[Entry]]:
        """Return what changed since the last scan: the new entry, or None for what is gone."""
        self.dirty = False
        stamps: Dict[str, Stamp] = {}
        changed: Dict[str, Optional[Entry]] = {}
        for name, path, status in self.walk():
            stamp = stamps[name] = stamp_of(status)
            if self.stamps.get(name) != stamp:
                entry = self.read(path, status)
                if entry is None:
                    stamps.pop(name)
                elif self.entries.get(name) != entry:
                    changed[name] = self.entries[name] = entry
        for name in [name for name in self.entries if name not in stamps]:
            del self.entries[name]
            changed[name] = None
        self.stamps = stamps
        return dict(sorted(changed.items()))

    def read(self, path: str, status: os.stat_result) -> Optional[Entry]:
        """Return the entry of one path, or None for what cannot be stored (a socket, a huge or unreadable file)."""
        if stat.S_ISDIR(status.st_mode):
            return ("dir",)
        try:
            if stat.S_ISLNK(status.st_mode):
                target = os.readlink(path)
                return ("link", target) if self.stays(path, target) else None
            if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_FILE:
                return None
            with open(path, "rb") as file:
                return self.content(file.read(), bool(status.st_mode & 0o100))
        except OSError:
            return None

    def stays(self, path: str, target: str) -> bool:
        """Say whether a link leads to something below its own root: others name this machine, and are no data."""
        end = os.path.normpath(os.path.join(os.path.dirname(path), target))
        top = max((top for top in self.roots.values() if path.startswith(top + os.sep)), key=len)
        return not os.path.isabs(target) and (end + os.sep).startswith(top + os.sep)

    def content(self, data: bytes, executable: bool) -> Entry:
        """Return the entry of a regular file; a text that names this machine is stored as a template."""
        if len(data) <= MAX_TEXT and b"\0" not in data:
            try:
                template = self.templates.hide(data.decode("utf-8"))
            except UnicodeDecodeError:
                template = None
            if template is not None:
                return ("text", self.store(template.encode("utf-8")), executable)
        return ("file", self.store(data), executable)

    def locate(self, name: str, checked: Optional[Set[str]] = None) -> str:
        """Return the path of ``{root}/relative/path``, which may not leave its root.

        Folders in ``checked`` are known to lie below one; others are added.

        Raises:
            ValueError: it would.
        """
        root, _, relative = name.partition("/")
        top = self.roots.get(root[1:-1])
        if top is None or not relative or any(part in ("", ".", "..") for part in relative.split("/")) or "\0" in name:
            message = "a path outside of the working folders: %r" % name
            raise ValueError(message)
        path = os.path.join(top, relative)
        folder = os.path.dirname(path)
        if checked is not None and folder in checked:
            return path
        parent = os.path.realpath(folder)
        if not any((parent + os.sep).startswith(folder + os.sep) for folder in self.roots.values()):
            message = "a path that leaves the working folders through a link: %r" % name
            raise ValueError(message)
        if checked is not None:
            checked.add(folder)
        return path

    def bring(self, target: Dict[str, Entry], load: Any) -> None:
        """Bring everything below the roots into the state ``target``; folders that it lies in stay."""
        if self.dirty:
            self.scan()
        if self.entries == target:
            return
        kept = {name.rpartition("/")[0] for name in target}
        for folder in list(kept):
            above = folder
            while "/" in above:
                kept.add(above)
                above = above.rpartition("/")[0]
        changes: Dict[str, Any] = {name: None for name in self.entries if name not in target and name not in kept}
        changes.update({name: entry for name, entry in target.items() if self.entries.get(name) != entry})
        self.apply(changes, load)

    def apply(self, changes: Dict[str, Any], load: Any) -> None:
        """Bring files into the state of ``changes`` (as ``scan`` gives them; ``load(digest)`` gives a content)."""
        dirty = self.dirty
        checked: Set[str] = set()
        for name in sorted((name for name in changes if changes[name] is None), reverse=True):
            remove(self.locate(name, checked))
            self.forget(name)
        for name in sorted(name for name in changes if changes[name] is not None):
            path = self.locate(name, checked)
            if changes[name][0] != "dir":
                self.forget(name)
            self.make(path, changes[name], load)
            if changes[name][0] == "link":
                checked.clear()
            self.know(name, path, tuple(changes[name]))
        self.dirty = dirty  # what was done here is known

    def make(self, path: str, entry: Entry, load: Any) -> None:
        """Make what an entry says at ``path``, in the place of what is there."""
        if entry[0] == "dir":
            if not os.path.isdir(path) or os.path.islink(path):
                remove(path)
                os.makedirs(path, exist_ok=True)
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if entry[0] == "link":
            remove(path)
            os.symlink(entry[1], path)
            return
        if os.path.isdir(path) or os.path.islink(path):
            remove(path)
        data = load(entry[1])
        with open(path, "wb") as file:
            file.write(self.templates.show(data.decode("utf-8")).encode("utf-8") if entry[0] == "text" else data)
        os.chmod(path, 0o755 if entry[2] else 0o644)

    def forget(self, name: str) -> None:
        """Note that something is gone, with all that was in it."""
        below = name + "/"
        within = [inner for inner in self.entries if inner.startswith(below)] if name in self.entries else []
        for gone in (name, *within):
            self.entries.pop(gone, None)
            self.stamps.pop(gone, None)

    def know(self, name: str, path: str, entry: Entry) -> None:
        """Note what was made, and the folders that it took, as a look at the disk would."""
        while "/" in name and self.entries.get(name) != entry:
            self.entries[name], self.stamps[name] = entry, stamp_of(os.lstat(path))
            name, path, entry = name.rpartition("/")[0], os.path.dirname(path), ("dir",)
        if "/" in name:
            self.stamps[name] = stamp_of(os.lstat(path))


def stamp_of(status: os.stat_result) -> Stamp:
    """Return what tells that a file may have changed; of a folder, only that it is one."""
    if stat.S_ISDIR(status.st_mode):
        return (status.st_mode, 0, 0, 0, 0)
    return (status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def remove(path: str) -> None:
    """Remove a file, a link or a whole folder, if it is there."""
    try:
        os.rmdir(path)  # most folders are empty by then
    except NotADirectoryError:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError:
        import shutil

        shutil.rmtree(path, ignore_errors=True)


# Variables that a test runner changes by itself, or that name this machine.
IGNORED_VARIABLES = {"PYTEST_CURRENT_TEST", "PYTEST_VERSION", "COLUMNS", "LINES", "_", "SHLVL", "OLDPWD", "PWD"}


KNOWN: List[Dict[Any, str]] = [{}, {}]  # what the system's environment was when it was last looked at, and as texts


def environment() -> Dict[str, str]:
    """Return the variables of the environment, for reading only."""
    raw = getattr(os.environ, "_data", None)  # decoding it each time would be a tenth of a replay
    if not isinstance(raw, dict):
        return dict(os.environ)
    if raw != KNOWN[0]:
        KNOWN[:] = [dict(raw), dict(os.environ)]
    return KNOWN[1]


def difference(old: Dict[str, str], new: Dict[str, str]) -> Dict[str, Optional[str]]:
    """Return the variables that were set (their value) or unset (None)."""
    if old is new:
        return {}
    changed: Dict[str, Optional[str]] = {
        name: value for name, value in new.items() if old.get(name) != value and name not in IGNORED_VARIABLES
    }
    changed.update({name: None for name in old if name not in new and name not in IGNORED_VARIABLES})
    return changed
