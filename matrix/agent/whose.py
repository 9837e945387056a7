"""Whose a module, a frame or a thread is: the subject's, the suite's or a library's."""

from __future__ import annotations

import inspect
import os
import sys
import types
from typing import Any, Dict, Iterable, List, Optional, Tuple

LIBRARY, SUBJECT, SUITE = 0, 1, 2
get_frame = sys._getframe  # a program may take it away


class Whose:
    """Tells from names and paths, as the configuration says."""

    def __init__(self, config: Dict[str, Any]) -> None:
        """Know the subject's modules, and where the suite is."""
        self.modules = tuple(config["modules"])
        self.suite_modules = tuple(config["suite_modules"])
        self.suite_roots = tuple(os.path.realpath(root) + os.sep for root in config["suite_roots"])
        self.roots: Dict[str, str] = config["roots"]
        self.kinds: Dict[str, int] = {}  # of the files that were rewritten
        self.threads: Dict[int, int] = {}  # who started each
        self.folders: Dict[str, bool] = {}  # that hold modules: whether of the suite

    def wants(self, name: str, path: str) -> bool:
        """Say whether a module is the subject's or the suite's."""
        return self.kind_of(name, path) != LIBRARY

    def places(self, name: str, folders: Iterable[str]) -> List[str]:
        """Return those of some folders where a module of this name may lie that is the subject's or the suite's."""
        if self.kind_of(name, "") != LIBRARY:
            return list(folders)
        return [folder for folder in folders if isinstance(folder, str) and self.holds_suite(folder)]

    def holds_suite(self, folder: str) -> bool:
        """Say whether modules that lie in a folder are the suite's; the empty name is that of the working directory."""
        folder = folder or os.getcwd()
        if folder not in self.folders:
            inside = os.path.realpath(folder) + os.sep
            self.folders[folder] = inside.startswith(self.suite_roots) and "site-packages" not in folder
        return self.folders[folder]

    def kind_of(self, name: str, path: str) -> int:
        """Return whose a module is."""
        if any(name == suite or name.startswith(suite + ".") for suite in self.suite_modules):
            return SUITE
        if name.split(".", 1)[0] in self.modules:
            return SUITE if any(part in ("tests", "test", "conftest") for part in name.split(".")[1:]) else SUBJECT
        return SUITE if os.path.realpath(path).startswith(self.suite_roots) and "site-packages" not in path else LIBRARY

    def is_subjects(self, module: Any) -> bool:
        """Say whether a module of this name is the subject's."""
        return isinstance(module, str) and self.kind_of(module, "") == SUBJECT

    def place(self, path: str) -> str:
        """Return a file's path as the test runner names it: relative to the working directory."""
        path = os.path.realpath(path)
        for name in ("work", "site"):
            root = os.path.realpath(self.roots.get(name, "")) + os.sep
            if path.startswith(root):
                return path[len(root) :]
        return path

    def module_at(self, path: str) -> str:
        """Return the name of the module of the suite at ``path``: its path with dots."""
        return self.place(path).rpartition(".")[0].replace("/", ".")

    def outside(self, frame: types.FrameType) -> Tuple[Optional[types.FrameType], int]:
        """Return the nearest frame that is the subject's or the suite's, from ``frame`` up, and whose it is."""
        above: Optional[types.FrameType] = frame
        last = frame
        while above is not None:
            kind = self.of(above)
            if kind != LIBRARY:
                return above, kind
            last, above = above, above.f_back
        return None, self.threads.get(
            id(last.f_locals.get("self")), LIBRARY
        ) if last.f_code.co_name == "_bootstrap" else LIBRARY

    def spawn(self, thread: Any) -> None:
        """Note who starts a thread: what the caller's threads run is called from outside."""
        self.threads[id(thread)] = self.outside(get_frame(1))[1]

    def of(self, frame: types.FrameType) -> int:
        """Return whose a frame is; code that was generated is its module's."""
        filename = frame.f_code.co_filename
        if filename == "<string>" and str(frame.f_globals.get("__name__")).split(".")[0] in self.modules:
            return SUBJECT
        return self.kinds.get(filename, LIBRARY)

    def is_probed(self, code: types.CodeType) -> bool:
        """Say whether a body tells what it raises: that of a function, and not of a lambda or a comprehension."""
        kind = self.kinds.get(code.co_filename, LIBRARY)
        return kind != LIBRARY and code.co_name[:1] != "<" and bool(code.co_flags & inspect.CO_OPTIMIZED)
