"""Replays the events of one test, one by one, against the release that is installed."""

from __future__ import annotations

import contextlib
import functools
from typing import Any, Dict, List, Set, Tuple

from . import finding, world
from .caller import Caller
from .copying import COPIES, Pickles
from .evaluate import evaluate, function_named
from .finding import Absent, Blocked, Broken, Missing, Stop, Unreplayable, first_line
from .held import remember
from .making import Makers
from .outcomes import Outcomes
from .playback import Playback
from .results import Result, Results
from .setting import Setting
from .standard import BadValue
from .templates import Templates
from .values import Decoder, Json

SHOWN = (str, int, float, bool, type(None), list, dict, tuple, bytes)
LONGEST_DETAIL = 300  # characters of a reason


class Replayer:
    """Plays one test's events in a process of its own."""

    def __init__(self, job: Dict[str, Any], trace: Any, files: world.Files, emit: Any, restore: Any) -> None:
        """Make one.

        ``files`` is what lies on the disk and is kept up to date, ``emit(dict)`` reports, and ``restore(name, digest)``
        brings a service into a state.
        """
        self.modules: Tuple[str, ...] = tuple(job["modules"])
        self.imports = trace.imports
        self.definitions = trace.definitions
        self.trace, self.emit, self.restore = trace, emit, restore
        self.templates = Templates(job["templates"])
        self.makers = Makers(self)
        self.decoder = Decoder(self.templates, self.makers.hook, trace.blobs)
        self.results = Results(trace)
        self.files = files
        self.services: List[str] = job.get("services", [])
        self.clocks: Dict[int, float] = {}
        self.pickles = Pickles(self.modules)
        self.pickled: Set[int] = set()  # copies whose bytes were made here: nothing else is unpickled
        self.quiet = False  # while what another test did is done again
        self.playback = Playback(self)
        self.outcomes = Outcomes(self)
        self.setting = Setting(self)
        self.caller = Caller(self, job.get("skip", {}))
        self.parts = (self, self.setting, self.caller)

    def decode(self, value: Json) -> Any:
        """Return the object of a value."""
        return self.decoder.decode(value)

    def run(self, event: Dict[str, Any]) -> None:
        """Play one event and report what is to be judged."""
        name = "on_" + event["e"]
        next(getattr(part, name) for part in self.parts if hasattr(part, name))(event)

    def on_import(self, event: Dict[str, Any]) -> None:
        """Nothing: imports are made once, before all tests."""

    on_trouble = on_test = on_import

    def on_read(self, event: Dict[str, Any]) -> None:
        """Read an attribute of the subject's modules, as the caller did."""
        try:
            finding.find(event["path"], self.modules)
        except (Missing, Broken) as error:
            verdict = "missing" if isinstance(error, Missing) else "import-error"
            self.report({"read": event["path"], "verdict": verdict, "detail": str(error)})

    def on_clock(self, event: Dict[str, Any]) -> None:
        """Read the clock, as the caller did."""
        self.clocks[event["id"]] = function_named(event["of"])()

    def on_copy(self, event: Dict[str, Any]) -> None:
        """Copy what an earlier call gave, as the caller did."""
        of = event["of"]
        held = self.results.held[event["id"]] = Result(failed="blocked")
        try:
            if event["how"] == "unpickle" and of["$ref"] not in self.pickled:
                return
            options = {"protocol": event["protocol"]} if "protocol" in event else {}
            copiers: Dict[str, Any] = {**COPIES, "pickle": self.pickles.dumps, "unpickle": self.pickles.loads}
            held.value = copiers[event["how"]](self.decode(of), **options)
            if event["how"] == "pickle":
                self.pickled.add(event["id"])
        except Stop:
            return
        except Exception as error:
            held.failed = "raised"
            detail = "%s: %s" % (type(error).__name__, first_line(error))
            calls = [of["$ref"]] if of["$ref"] in self.trace.calls else []
            self.report({"copy": event["id"], "at": event.get("n"), "calls": calls, "detail": detail})

    def on_check(self, event: Dict[str, Any]) -> None:
        """Compare again what the caller compared."""
        made: Dict[str, Json] = {"check": event.get("n"), "calls": event["calls"]}
        if event.get("whole"):
            return
        try:
            held = evaluate(event["tree"], self.decode, lambda path: finding.find(path, self.modules), self.clocks)
            made["held"] = bool(held)
            if not made["held"]:
                made["detail"] = self.found(event["tree"])
        except Absent as error:
            made.update(held=False, detail=error.reason)
        except Blocked as error:
            made["blocked"] = error.call
        except Unreplayable as error:
            made["unreplayable"] = str(error)
        except (Missing, Broken) as error:
            made.update(held=False, detail=str(error))
        except Exception as error:
            made.update(held=False, detail="%s: %s" % (type(error).__name__, first_line(error)))
        self.report(made)

    def found(self, tree: Json) -> str:
        """Return what a failed comparison found, in short."""
        if "op" not in tree or len(tree["args"]) != 2:
            return "no longer true"

        def find(path: str) -> Any:
            return finding.find(path, self.modules)

        try:
            left, right = (
                short(evaluate(part, self.decode, find, self.clocks), self.templates) for part in tree["args"]
            )
        except BaseException:
            return "no longer true"
        return "%s %s %s no longer holds" % (left, tree["op"], right)

    def report(self, made: Dict[str, Json]) -> None:
        """Report, unless another test's calls are only made again."""
        if "detail" in made:
            made["detail"] = self.templates.plain(made["detail"])[:LONGEST_DETAIL]
        if not self.quiet:
            self.emit(made)

    def run_test(self, test: str) -> None:
        """Play the events of a test, and before them what they need of other tests."""
        self.quiet = True
        for call in self.trace.needed(test):
            self.run(self.trace.calls[call])
        self.quiet = False
        for event in self.trace.tests[test]:
            self.run(event)

    def run_inner(self, test: str, start: Tuple[Dict[str, Any], Dict[str, str]]) -> None:
        """Make each inner call of a test, in the world that it was made in; ``start`` is that of the test's begin."""
        entries, states = dict(start[0]), dict(start[1])
        inner = self.trace.inner.get(test, {})
        for event in self.trace.tests[test]:
            if event["e"] in ("env", "cwd", "patch"):
                with contextlib.suppress(Stop, BadValue, OSError):
                    self.run(event)
            for call in inner.get(event["id"], ()) if event["e"] == "call" else ():
                world = {**entries, **call.get("files", {})}, {**states, **call.get("services", {})}
                self.caller.on_call(call, functools.partial(self.setting.surround, *world))
            remember(event, entries, states)


def short(value: Any, templates: Templates) -> str:
    """Return a value's text, shortened once what differs from machine to machine has its name."""
    text = templates.plain(repr(value)) if isinstance(value, SHOWN) else type(value).__name__
    return text if len(text) < 80 else text[:77] + "..."
