"""Imports what a trace imports, and tells what does not import: alone, and with what the suite needs besides."""

from __future__ import annotations

import importlib
import json
import os
import sys
from importlib.machinery import PathFinder
from typing import Any, Callable, Dict, Iterable, List, Tuple

from . import finding
from .confining import die_with_parent
from .held import Trace
from .sharing import Sharing, importing


class Imports:
    """Makes the imports of one trace."""

    def __init__(self, job: Dict[str, Any], trace: Trace, report: Callable[[Dict[str, Any]], None]) -> None:
        """Make one; ``report(dict)`` is told what does not import."""
        self.job, self.trace, self.report = job, trace, report
        self.alone = ""  # why the release does not import alone
        self.failed: Dict[int, Dict[str, Any]] = {}  # what did not import, by its place among the imports

    def make(self) -> None:
        """Import what the trace imports, and report what does not."""
        modules = tuple(self.job["modules"])
        for place, event in enumerate(importing(self.trace)):
            missing = event["names"] or [event["module"]]
            try:
                module = finding.import_module(event["module"], modules)
                missing = [name for name in event["names"] if not self.has(module, name, event["module"])]
                if missing:
                    raise finding.Missing("%s has no %s" % (event["module"], missing[0]))
            except finding.Stop as error:
                verdict = "missing" if isinstance(error, finding.Missing) else "import-error"
                if event["subject"] or event["module"].split(".", 1)[0] not in ("pytest", "_pytest"):
                    made = {"import": event["n"], "file": event["file"], "verdict": verdict, "detail": str(error)}
                    made.update(optional=event["optional"], subject=event["subject"])
                    if not set(missing).isdisjoint(event.get("used", ())):
                        made["unloads"] = True
                    self.failed[place] = made
                    self.report(made)

    def tell(self, trace: Trace, report: Callable[[Dict[str, Any]], None]) -> None:
        """Report the same for another trace, whose imports are the same."""
        report({"plain": self.alone})
        events = importing(trace)
        for place, made in self.failed.items():
            report({**made, "import": events[place]["n"]})

    @staticmethod
    def has(module: Any, name: str, path: str) -> bool:
        """Say whether ``from module import name`` works."""
        if name == "*" or hasattr(module, name):
            return True
        try:
            importlib.import_module("%s.%s" % (path, name))
        except ImportError:
            return False
        return True

    def plain(self, sharing: Sharing) -> None:
        """Import the release with nothing but what it declares, and report how that went; the rest can be had then.

        What was imported stays imported. Where a module looked for something that the suite needs besides, a fork went
        on from there with that; this process only tells it how it ends without.
        """
        lookups = Lookups(self.job.get("also", []))
        sys.meta_path.append(lookups)
        names = sorted({event["module"] for event in importing(self.trace) if event["subject"]})
        problem = next(filter(None, map(self.problem, names)), "")
        self.alone, noticed = lookups.end([problem, sharing.noticed])
        sharing.noticed = sharing.noticed or noticed
        self.report({"plain": self.alone})

    def problem(self, name: str) -> str:
        """Return what a module of the release needs and did not declare, or why it does not import."""
        try:
            finding.import_module(name, tuple(self.job["modules"]))
        except finding.Missing:
            return ""  # this release does not have the module
        except finding.Broken as error:
            return str(error)
        return ""


class Lookups:
    """The last finder, asked for what is nowhere; forks where it lies in ``folders``, and has it in the fork."""

    def __init__(self, folders: List[str]) -> None:
        """Take the folders that can be had later on."""
        self.folders = folders
        self.fork = 0  # its process; here or, in itself, 0
        self.pipe: Tuple[int, int] = (-1, -1)

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec of a module, in the fork."""
        spec = PathFinder.find_spec(name, self.folders) if path is None and self.folders else None
        return spec if spec is not None and self.goes_on() else None

    def find_distributions(self, context: Any = None) -> Iterable[Any]:
        """Return distributions, in the fork."""
        from importlib.metadata import DistributionFinder

        asked = vars(context) if context is not None else {}
        if "path" in asked or not self.folders:
            return ()
        inside = DistributionFinder.Context(**{**asked, "path": self.folders})
        found = list(PathFinder.find_distributions(inside))
        return found if found and self.goes_on() else ()

    def goes_on(self) -> bool:
        """Say whether this is the fork, which is made when this is first asked."""
        if self.fork:
            return False
        self.pipe = os.pipe()
        self.fork = os.fork()
        if self.fork:
            return False
        die_with_parent()
        self.open_up()
        return True

    def open_up(self) -> None:
        """Let everything be had, from now on."""
        sys.meta_path.remove(self)
        sys.path += self.folders

    def end(self, found: List[Any]) -> List[Any]:
        """Return what was found without the folders, in the process that goes on: the fork, if there is one."""
        if self not in sys.meta_path:
            os.close(self.pipe[1])
            with os.fdopen(self.pipe[0], "rb") as file:
                return list(json.loads(file.read()))
        if self.fork:
            os.write(self.pipe[1], json.dumps(found).encode("ascii"))
            os.close(self.pipe[1])
            os.waitpid(self.fork, 0)
            os._exit(0)
        self.open_up()
        return found
