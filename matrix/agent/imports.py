"""Imports what a trace imports, and tells what does not import: alone, and with what the suite needs besides."""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any, Callable, Dict, List, Set, Tuple

from . import finding
from .confining import die_with_parent
from .held import Trace


class Imports:
    """Makes the imports of one trace."""

    def __init__(self, job: Dict[str, Any], trace: Trace, report: Callable[[Dict[str, Any]], None]) -> None:
        """Make one; ``report(dict)`` is told what does not import."""
        self.job, self.trace, self.report = job, trace, report

    def make(self) -> None:
        """Import what the trace imports, and report what does not."""
        modules = tuple(self.job["modules"])
        for event in self.trace.tests[""]:
            if event["e"] != "import" or "own" in event:
                continue
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
                    self.report(made)

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

    def plain(self) -> None:
        """Import the release with nothing but what it declares, and report how that went.

        What was imported stays imported, unless a module looked in vain for something that the suite needs besides: it
        may be another one with that. A process that was put aside before goes on then.
        """
        reading, writing = os.pipe()
        spare = os.fork()
        if spare == 0:
            os.close(writing)
            die_with_parent()
            with os.fdopen(reading, "rb") as file:
                answer = file.read()
            if not answer:
                os._exit(0)
            self.report({"plain": json.loads(answer)})
            return
        os.close(reading)
        lookups = Lookups()
        sys.meta_path.append(lookups)
        names = sorted({e["module"] for e in self.trace.tests[""] if e["e"] == "import" and e["subject"]})
        problem = next(filter(None, map(self.problem, names)), "")
        sys.meta_path.remove(lookups)
        if problem or lookups.found_in(self.job.get("also", [])):
            os.write(writing, json.dumps(problem).encode("ascii"))
            os.close(writing)
            os.waitpid(spare, 0)
            os._exit(0)
        os.close(writing)
        os.waitpid(spare, 0)
        self.report({"plain": ""})

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
    """The last finder: notes what was looked for and is nowhere."""

    def __init__(self) -> None:
        """Note nothing yet."""
        self.names: Set[str] = set()
        self.distributions = False

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        """Note a module."""
        if path is None:
            self.names.add(name)

    def find_distributions(self, *_: Any, **__: Any) -> Tuple[()]:
        """Note that somebody asks which distributions are installed."""
        self.distributions = True
        return ()

    def found_in(self, folders: List[str]) -> bool:
        """Say whether any of it is in some folders."""
        find = importlib.import_module("importlib.machinery").PathFinder.find_spec
        return bool(folders) and (self.distributions or any(find(name, folders) for name in sorted(self.names)))
