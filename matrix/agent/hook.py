"""Starts the recorder in a process: called by the ``.pth`` file that ``recording.py`` puts into an environment.

It runs before any of the program's own code, in every Python process of that environment, may run twice in one, and
does nothing where the recording is over (the configuration is gone).
"""

from __future__ import annotations

import json
import sys
from typing import Any


def start(path: str) -> Any:
    """Start to record as the configuration at ``path`` says, and return the recorder; None where it does not start."""
    if "@enter" in vars(sys.modules["builtins"]):
        return None
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except OSError:
        return None
    from . import generated, probes
    from .recorder import Recorder
    from .watch import watch_mock, watch_monkeypatch

    recorder = Recorder(config)
    probes.install(
        {
            probes.ENTER: recorder.enter,
            probes.LEAVE: recorder.leave,
            probes.LEAVE + "2": recorder.leave2,
            probes.RAISED: recorder.raised,
            probes.YIELD: recorder.suspend,
            probes.RESUME: recorder.resume,
            probes.CAUGHT: recorder.caught,
            probes.THROUGH: recorder.through,
            probes.TEXT: generated.texts(recorder.definitions),
            probes.DID: recorder.did,
            probes.GIVEN: recorder.given,
            probes.COPIED: recorder.copied,
        }
    )
    whose, compile_ = recorder.whose, recorder.definitions.compile
    sys.meta_path.insert(0, probes.Finder(whose.wants, whose.places, compile_, recorder.imported))
    sys.meta_path.insert(
        0,
        After(
            {
                "_pytest.assertion.rewrite": rewriting(recorder),
                "_pytest.monkeypatch": watch_monkeypatch,
                "unittest.mock": watch_mock,
                "_pytest.reports": reporting(recorder),
            }
        ),
    )
    from . import network

    if config["redirects"]:
        import socket

        network.redirect(socket, config["redirects"])
    generated.install(recorder.definitions)
    deepen(1 if config.get("inner") else 0)
    spawning(recorder)
    warning(recorder)
    refuse = network.refusing(config["modules"], config["allowed"], noting(config["refusals"]))
    sys.addaudithook(auditing(recorder, refuse if config["refusals"] else None))
    import atexit
    import os

    os.register_at_fork(after_in_child=recorder.forked)
    atexit.register(recorder.close)
    return recorder


def noting(path: str) -> Any:
    """Return what adds a line to a file, with what a program can no longer patch."""
    import os

    begin, write, end = os.open, os.write, os.close

    def note(line: str) -> None:
        try:
            file = begin(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            write(file, line.encode("utf-8", "replace") + b"\n")
            end(file)
        except OSError:
            pass  # the recording is over

    return note


class After:
    """A finder that runs a function of ours when a module of the test runner was executed."""

    def __init__(self, functions: Any) -> None:
        """Make one of module name: function; a module that is there already has its function run now."""
        self.functions = functions
        for name in [name for name in functions if name in sys.modules]:
            self.functions.pop(name)(sys.modules[name])

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the module's own spec, with a loader that runs the function afterwards."""
        function = self.functions.pop(name, None)
        if function is None:
            return None
        import importlib.util

        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            loader = spec.loader
            original = loader.exec_module

            def exec_module(module: Any) -> None:
                original(module)
                function(module)

            loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def rewriting(recorder: Any) -> Any:
    """Return what lets pytest's assertion rewriting take the tree with our probes, and leave its cache alone."""

    def after(module: Any) -> None:
        rewrite = module.rewrite_asserts

        def rewrite_asserts(tree: Any, source: bytes, module_path: Any = None, config: Any = None) -> None:
            path = str(module_path or "<unknown>")
            name = recorder.whose.module_at(path)

            def make() -> Any:
                import ast

                tree = ast.parse(source, path)
                recorder.definitions.rewrite(tree, path, name)
                rewrite(tree, source, module_path, config)
                return compile(tree, path, "exec", dont_inherit=True)

            try:
                if not recorder.definitions.can_wait(source, path, name, make):
                    recorder.definitions.rewrite(tree, path, name)
            except Exception as error:
                recorder.ledger.trouble(error)
            rewrite(tree, source, module_path, config)

        module.rewrite_asserts = rewrite_asserts
        module._read_pyc = lambda *args, **kwargs: None
        module._write_pyc = lambda *args, **kwargs: False

    return after


def reporting(recorder: Any) -> Any:
    """Return what notes each test's outcome."""

    def after(module: Any) -> None:
        original = module.TestReport.__init__

        def __init__(  # noqa: N807 # it takes the place of the class's own
            self: Any,
            nodeid: str,
            location: Any,
            keywords: Any,
            outcome: str,
            longrepr: Any,
            when: str,
            *args: Any,
            **kwargs: Any,
        ) -> None:
            original(self, nodeid, location, keywords, outcome, longrepr, when, *args, **kwargs)
            recorder.guarded(recorder.report, nodeid, when, outcome)

        module.TestReport.__init__ = __init__

    return after


def deepen(more: int) -> None:
    """Leave the program as many frames as it has without a probe's (``more`` of them), and let it see its own limit."""
    # Measured; until 3.11 calls of built-in functions count as well.
    headroom = more + (3 if sys.version_info < (3, 12) else 2)
    read, change = sys.getrecursionlimit, sys.setrecursionlimit

    def getrecursionlimit() -> int:
        return read() - headroom

    def setrecursionlimit(limit: int, /) -> None:
        change(limit + headroom)

    change(read() + headroom)
    vars(sys).update(getrecursionlimit=getrecursionlimit, setrecursionlimit=setrecursionlimit)


def spawning(recorder: Any) -> None:
    """Tell the recorder who starts each thread; before 3.12 there is no audit event of it."""
    import threading

    for name in ("_start_new_thread", "_start_joinable_thread"):
        start = getattr(threading, name, None)
        if start is not None:
            setattr(threading, name, telling(recorder, start))


def warning(recorder: Any) -> None:
    """Tell the recorder of each warning that is shown; what issues it sees no frame of ours."""
    import warnings

    show = warnings._showwarnmsg  # type: ignore[attr-defined]

    def shown(message: Any) -> None:
        recorder.guarded(recorder.boundary.warned, message)
        show(message)

    warnings._showwarnmsg = shown  # type: ignore[attr-defined]


def telling(recorder: Any, start: Any) -> Any:
    """Return a function that starts a thread and tells of it."""

    def started(bootstrap: Any, *args: Any, **kwargs: Any) -> Any:
        recorder.guarded(recorder.whose.spawn, getattr(bootstrap, "__self__", None))
        return start(bootstrap, *args, **kwargs)

    return started


def auditing(recorder: Any, refuse: Any) -> Any:
    """Return the audit hook that notes that files may have changed, and refuses connections.

    One, for there are events for each look at a frame or an ``id``, millions of them.
    """
    from . import network, world

    heard = world.EVENTS if refuse is None else world.EVENTS | network.EVENTS

    def hook(event: str, args: Any) -> None:
        if event in heard:
            if event in network.EVENTS:
                refuse(event, args)
            elif world.may_change(event, args):
                recorder.surroundings.dirty = True

    return hook
