"""The functions of the subject and the suite, numbered when their modules get probes; and how often each is called."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Tuple

from . import callsite, probes, reads
from .later import Later
from .ledger import Ledger
from .whose import LIBRARY, SUBJECT, SUITE


class Definitions:
    """Puts probes into modules, and counts calls."""

    def __init__(self, ledger: Ledger) -> None:
        """Begin with none."""
        self.ledger, self.whose = ledger, ledger.whose
        self.all: List[probes.Definition] = []
        self.counts: List[int] = []
        self.boundary: List[int] = []
        self.later = Later(self.whose.modules, ledger.trouble)

    def compile(self, source: bytes, path: str, name: str) -> Any:
        """Return the code of a module with its probes, or without, where those can wait."""

        def make() -> Any:
            return compile(self.rewrite(source, path, name), path, "exec", dont_inherit=True)

        return compile(source, path, "exec", dont_inherit=True) if self.can_wait(source, path, name, make) else make()

    def can_wait(self, source: bytes, path: str, name: str, make: Any) -> bool:
        """Say whether the probes of a module are put in later, by code that ``make()`` returns."""
        return self.whose.kind_of(name, path) == SUITE and self.later.puts_off(source, path, make)

    def rewrite(self, source: Any, path: str, name: str) -> Any:
        """Return the tree of a module with its probes."""
        kind = self.whose.kinds[path] = self.whose.kind_of(name, path)
        if kind == LIBRARY:  # a plugin whose assertions pytest rewrites
            return source
        if kind == SUBJECT and not self.later.over:
            self.later.end()
        tree = probes.rewrite(source, path, name, self.definer(kind == SUITE), kind == SUITE)
        if kind == SUITE:
            self.imports(path)
        return tree

    def definer(self, suite: bool) -> Any:
        """Return what numbers the functions of a module of the suite or of the subject."""

        def define(node: Any, module: str, qualname: str, form: str) -> int:
            self.counts.append(0)
            self.boundary.append(0)
            self.ledger.live.append(0)
            self.all.append(probes.Definition(len(self.all), module, qualname, node, form, suite))
            return len(self.all) - 1

        return define

    def guess(self, make: Any, *arguments: Any) -> Any:
        """Return what ``make`` makes of the definitions and some arguments; None where it fails."""
        try:
            return make(self, *arguments)
        except Exception as error:
            self.ledger.trouble(error)
            return None

    def imports(self, path: str, through: Tuple[str, ...] = ()) -> None:
        """Note what a file of the suite imports of the subject and of others, at its top.

        A module of the suite's own is not there in a replay: what that imports in turn stands for it, and what it calls
        while it is loaded. ``through`` are the files on the way to this one, first the one that is meant.
        """
        way = (*through, os.path.realpath(path))
        folders = [*self.whose.suite_roots, os.path.dirname(way[-1])]
        source, file = callsite.source_of(path), self.whose.place(way[0])
        own: List[str] = []
        for event in reads.imports_of(source, file, self.whose.modules):
            places = [os.path.join(folder, *event["module"].split(".")) for folder in folders]
            found = [place + end for place in places for end in (".py", "") if os.path.exists(place + end)]
            if event["subject"] or not found:
                self.ledger.top.append(event)
            elif not event["optional"]:
                own.append(found[0])
        for place in map(os.path.realpath, [*own, *reads.relative_imports_of(source, way[-1])]):
            if place.endswith(".py") and os.path.exists(place) and place not in way:
                facts = {"module": self.whose.module_at(place), "names": [], "optional": False, "subject": False}
                self.ledger.top.append({"e": "import", "file": file, **facts, "own": self.whose.place(place)})
                self.imports(place, way)

    def called(self) -> Dict[str, List[int]]:
        """Return how often each function of the subject's was called: in all, and from outside."""
        counts = {d.function: [0, 0] for d in self.all if not d.suite}
        for definition, count, boundary in zip(self.all, self.counts, self.boundary):
            if not definition.suite:
                counts[definition.function][0] += count
                counts[definition.function][1] += boundary
        return {name: count for name, count in sorted(counts.items()) if count[0]}
