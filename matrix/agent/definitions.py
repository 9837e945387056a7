"""The functions of the subject and the suite, numbered when their modules get probes; and how often each is called."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Tuple

from . import callsite, probes, reads
from .ledger import Ledger
from .whose import LIBRARY, SUITE


class Definitions:
    """Puts probes into modules, and counts calls."""

    def __init__(self, ledger: Ledger) -> None:
        """Begin with none."""
        self.ledger, self.whose = ledger, ledger.whose
        self.all: List[probes.Definition] = []
        self.counts: List[int] = []
        self.boundary: List[int] = []

    def compile(self, source: Any, path: str, name: str) -> Any:
        """Return the code of a module with its probes."""
        return compile(self.rewrite(source, path, name), path, "exec", dont_inherit=True)

    def rewrite(self, source: Any, path: str, name: str) -> Any:
        """Return the tree of a module with its probes."""
        kind = self.whose.kinds[path] = self.whose.kind_of(name, path)
        if kind == LIBRARY:  # a plugin whose assertions pytest rewrites
            return source

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

        A module of the suite's own is not there in a replay: what that imports in turn stands for it. ``through`` are
        the files on the way to this one, first the one that is meant.
        """
        way = (*through, os.path.realpath(path))
        folders = [*self.whose.suite_roots, os.path.dirname(way[-1])]
        for event in reads.imports_of(callsite.source_of(path), self.whose.place(way[0]), self.whose.modules):
            places = [os.path.join(folder, *event["module"].split(".")) for folder in folders]
            own = [place + end for place in places for end in (".py", "") if os.path.exists(place + end)]
            if event["subject"] or not own:
                self.ledger.top.append(event)
            elif own[0].endswith(".py") and own[0] not in way and not event["optional"]:
                self.imports(own[0], way)

    def called(self) -> Dict[str, List[int]]:
        """Return how often each function of the subject's was called: in all, and from outside."""
        counts = {d.function: [0, 0] for d in self.all if not d.suite}
        for definition, count, boundary in zip(self.all, self.counts, self.boundary):
            if not definition.suite:
                counts[definition.function][0] += count
                counts[definition.function][1] += boundary
        return {name: count for name, count in sorted(counts.items()) if count[0]}
