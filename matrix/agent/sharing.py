"""Lets one process replay several traces, one after the other, where its imports could not tell them apart."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import Any, Callable, Dict, Iterator, List

from .held import Trace


class Sharing:
    """Notes, while modules are imported for the first of some jobs, whether the others would have had the same.

    Jobs that share work in the same folders. What differs between them is what variables of the environment say.
    """

    def __init__(self, jobs: List[Dict[str, Any]], traces: List[Trace]) -> None:
        """Take the jobs and their traces; the first is at work."""
        alike = all(job["allowed"] == jobs[0]["allowed"] and job["roots"] == jobs[0]["roots"] for job in jobs)
        several = len(jobs) > 1  # one alone need not be looked after
        self.noticed = not several or not alike or any(imports(trace) != imports(traces[0]) for trace in traces[1:])
        said: List[Dict[str, str]] = [job["environment"] for job in jobs]
        names = {name for variables in said for name in variables}
        self.differing = {os.fsencode(name) for name in names if len({each.get(name) for each in said}) > 1}

    def begin(self) -> None:
        """Look out from now on."""
        keep(Variables(os.environ._data, self))  # type: ignore[attr-defined] # nothing else tells of reading

    def end(self, scan: Callable[[], Any]) -> None:
        """Look out no more; ``scan()`` returns the files that were changed meanwhile."""
        noticed = self.noticed or bool(scan())
        keep(dict(os.environ._data))  # type: ignore[attr-defined] # which reads them all
        self.noticed = noticed


class Variables(Dict[Any, Any]):
    """The variables of the environment; notes when one is read that differs between jobs, or when all may be."""

    def __init__(self, data: Dict[Any, Any], sharing: Sharing) -> None:
        """Hold the same."""
        super().__init__(data)
        self.sharing = sharing

    def __getitem__(self, name: Any) -> Any:
        """Return a value."""
        if name in self.sharing.differing:
            self.sharing.noticed = True
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[Any]:
        """Yield the names."""
        self.sharing.noticed = True
        return super().__iter__()


def keep(data: Dict[Any, Any]) -> None:
    """Let the variables be kept in another mapping, whose content is the same."""
    for variables in (os.environ, getattr(os, "environb", os.environ)):
        variables._data = data  # type: ignore[union-attr] # typeshed leaves it out


def imports(trace: Trace) -> List[Dict[str, Any]]:
    """Return what a trace imports, wherever in it that is said."""
    return [{name: event[name] for name in event if name != "n"} for event in importing(trace)]


def importing(trace: Trace) -> List[Dict[str, Any]]:
    """Return the events that import modules, those of the suite itself left out."""
    return [event for event in trace.tests[""] if event["e"] == "import" and "own" not in event]


def become(job: Dict[str, Any], other: Dict[str, Any], variables: Dict[str, str]) -> None:
    """Go from a job that is done to another one; ``variables`` are those that the environment had before any."""
    for name in job["environment"]:
        os.environ.pop(name, None)
    os.environ.update({name: variables[name] for name in job["environment"] if name in variables})
    os.environ.update(other["environment"])
    followed = job["redirects"]
    followed.clear()
    followed.update(other["redirects"])
    other["redirects"] = followed
    empty(other)


def empty(job: Dict[str, Any]) -> None:
    """Begin in folders with nothing in them."""
    for folder in job["roots"].values():
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder, exist_ok=True)
    os.chdir(job["roots"]["work"])


def start_again(jobs: List[Dict[str, Any]], variables: Dict[str, str]) -> None:
    """Do some jobs in a Python that has imported nothing, with the variables of the environment that this one had."""
    empty(jobs[0])
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        with os.fdopen(writing, "wb") as file:
            file.write(json.dumps(jobs).encode("ascii"))
        os._exit(0)
    os.close(writing)
    os.dup2(reading, 0)
    for job in jobs:
        os.set_inheritable(job["out"], True)
    main = os.path.join(os.path.dirname(os.path.abspath(__file__)), "main.py")
    os.execve(sys.executable, [sys.executable, main], variables)  # noqa: S606 # ours
