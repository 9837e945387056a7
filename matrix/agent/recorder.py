"""Records what a program does with the subject, as events (docs/trace-format.md).

The probes (``probes.py``) call ``enter``, ``leave``, ``raised``, ``suspend`` and ``resume``. A call made from outside
the subject becomes an event; one made from inside it is counted, and stored where inner calls are asked for. Nothing
here may raise into the program, and none of the subject's ``repr``, ``==`` or ``hash`` is called.
"""

from __future__ import annotations

import sys
import threading
import types
from typing import Any, Dict, Tuple

from . import callsite, checks, probes
from .boundary import Boundary
from .copies import Copies
from .definitions import Definitions
from .delegate import Delegate, hide
from .inner import Inner
from .ledger import Ledger
from .presets import preset
from .steps import Steps
from .stubs import Stubs
from .surroundings import Surroundings
from .whose import LIBRARY, SUBJECT, get_frame

get_item = dict.get  # the globals of a frame may be of a class of the program's


class Recorder:
    """The one recorder of a process."""

    def __init__(self, config: Dict[str, Any]) -> None:
        """Make one from the configuration that ``recording.py`` wrote."""
        self.config = config
        self.ledger = Ledger(config)
        self.whose = self.ledger.whose
        self.definitions = Definitions(self.ledger)
        self.surroundings = Surroundings(self.ledger)
        self.stubs = Stubs(self.ledger, self.surroundings)
        self.inner = Inner(self.ledger, self.surroundings)
        self.boundary = Boundary(self.ledger, self.definitions, self.surroundings)
        self.copies = Copies(self.ledger, self.surroundings, self.boundary)
        self.steps = Steps(self.ledger, self.boundary, self.inner, self.stubs)
        self.tokens, self.live = self.ledger.tokens, self.ledger.live
        self.kinds, self.counts, self.defined = self.whose.kinds, self.definitions.counts, self.definitions.all
        self.lock = threading.RLock()
        self.local = threading.local()
        self.keeps_inner = self.ledger.inner
        self.counts_only = bool(config.get("counts_only"))  # to measure what the probes cost by themselves
        self.outcomes: Dict[str, str] = {}
        self.lost = False

    # The probes

    def enter(self, ident: int, *values: Any) -> None:
        """Note that a body begins."""
        self.counts[ident] += 1
        frame = get_frame(1)
        caller = frame.f_back
        definition = self.defined[ident]
        if definition.generated and frame.f_code.co_filename != "<string>":
            self.kinds.setdefault(frame.f_code.co_filename, SUBJECT)
        if caller is not None and not definition.suite:
            # Its module tells whose the caller is as well as its code does, and asking for a code is an audit event.
            file = get_item(caller.f_globals, "__file__")
            if type(file) is str and self.kinds.get(file) == SUBJECT:
                if self.keeps_inner:
                    try:
                        self.guarded(self.inner.begin, frame, definition, values)
                    except RecursionError:
                        self.lost = True
                return  # otherwise an inner call is only counted
        try:
            self.guarded(self.begin, frame, definition, values)
        except RecursionError:
            self.lost = True

    def leave(self, ident: int, value: Any) -> Any:
        """Note that a body returns ``value``, and return it."""
        token = self.ledger.end(get_frame(1)) if self.live[ident] else None
        if token is not None:
            try:
                self.guarded(self.steps.finish, token, "return", value)
            except RecursionError:
                self.lost = True
        return value

    def leave2(self, ident: int, _entered: None, value: Any) -> Any:
        """Note that a lambda returns ``value``, and return it."""
        token = self.ledger.end(get_frame(1)) if self.live[ident] else None
        if token is not None:
            try:
                self.guarded(self.steps.finish, token, "return", value)
            except RecursionError:
                self.lost = True
        return value

    def raised(self, ident: int) -> None:
        """Note that a body raises."""
        if not self.live[ident] and not self.ledger.lambdas:
            return
        error = sys.exc_info()[1]
        token = self.ledger.end(get_frame(1))
        if error is not None:
            hide(error)
            try:
                self.guarded(self.steps.unwind, error, get_frame(1))
            except RecursionError:
                self.lost = True
        if token is not None:
            try:
                self.guarded(self.steps.thrown, token, error)
            except RecursionError:
                self.lost = True
            try:
                self.guarded(self.steps.finish, token, "closed" if isinstance(error, GeneratorExit) else "raise", error)
            except RecursionError:
                self.lost = True

    def suspend(self, ident: int, value: Any) -> Any:
        """Note that a generator yields ``value``, and return it."""
        token = self.tokens.get(id(get_frame(1))) if self.live[ident] else None
        if token is not None:
            try:
                self.guarded(self.steps.yields, token, value)
            except RecursionError:
                self.lost = True
        return value

    def resume(self, ident: int, value: Any) -> Any:
        """Note that a generator goes on, and return what was sent, ``value``."""
        token = self.tokens.get(id(get_frame(1))) if self.live[ident] else None
        if token is not None:
            try:
                self.guarded(self.steps.resumes, token, value)
            except RecursionError:
                self.lost = True
        return value

    def caught(self, ident: int) -> None:
        """Note that a generator handles an exception, or leaves a ``try`` through its ``finally``."""
        token = self.tokens.get(id(get_frame(1))) if self.live[ident] else None
        if token is not None and token.suspended:
            try:
                self.guarded(self.steps.thrown, token, sys.exc_info()[1])
            except RecursionError:
                self.lost = True

    def through(self, ident: int, value: Any) -> Any:
        """Return what a generator hands over to, in the place of ``value``, with ``yield from``."""
        token = self.tokens.get(id(get_frame(1))) if self.live[ident] else None
        return value if token is None or isinstance(value, types.CoroutineType) else Delegate(self, token, value)

    def did(self, filename: str, line: int, column: int) -> None:
        """Note that a statement of the suite was executed."""
        try:
            self.guarded(self.look, get_frame(1), filename, line, column)
        except RecursionError:
            self.lost = True

    def given(self, position: callsite.Position, name: str, value: Any) -> Any:
        """Note what a function of the caller's choice is given, and return it: it may be one that copies."""
        try:
            self.guarded(self.copies.begin, get_frame(1), position, name, value)
        except RecursionError:
            self.lost = True
        return value

    def copied(self, position: callsite.Position, value: Any) -> Any:
        """Note what such a function made of it, and return that."""
        if self.copies.begun:
            try:
                self.guarded(self.copies.end, get_frame(1), position, value)
            except RecursionError:
                self.lost = True
        return value

    def guarded(self, step: Any, *arguments: Any) -> None:
        """Take a step of our own; none of it may reach the program, or be recorded in turn."""
        if self.counts_only or getattr(self.local, "busy", False):
            return
        self.local.busy = True
        try:
            with self.lock:
                step(*arguments)
        except RecursionError:
            self.lost = True  # the program is as deep as it can be: there is no room to say more
        except Exception as error:
            self.ledger.trouble(error)
        finally:
            self.local.busy = False

    def begin(self, frame: types.FrameType, definition: probes.Definition, values: Tuple[Any, ...]) -> None:
        """Begin a call: of a stub, or of the subject from outside."""
        caller, kind = self.whose.outside(frame.f_back) if frame.f_back is not None else (None, LIBRARY)
        if definition.suite:
            if kind == SUBJECT and caller is not None:
                self.stubs.begin(frame, caller, definition, values)
        elif kind != SUBJECT:
            self.boundary.begin(frame, definition, values, caller, kind)
        elif self.keeps_inner:  # through a library, but from inside all the same
            self.inner.begin(frame, definition, values)

    # What else is heard of

    def look(self, frame: types.FrameType, filename: str, line: int, column: int) -> None:
        """Note what an executed statement of the suite looked at."""
        source = callsite.source_of(filename)
        self.ledger.switch()
        if self.boundary.is_enough(frame):
            return
        for event in checks.events_of(source, line, column, frame, self.ledger):
            if event["e"] == "read":
                self.ledger.read(self.ledger.sink(frame), [event])
            else:
                self.surroundings.holds(self.ledger.sink(frame))
                self.ledger.sink(frame).append(event)

    def forked(self) -> None:
        """Go on as another process."""
        self.lock, self.local = threading.RLock(), threading.local()  # another thread may have held it
        self.counts[:] = self.definitions.boundary[:] = [0] * len(self.counts)
        self.outcomes.clear()
        self.ledger.fork()

    def report(self, test: str, when: str, outcome: str) -> None:
        """Note the outcome of a phase of a test; the trace keeps what is worse than passed."""
        self.definitions.later.finish()
        if when == "call" or outcome != "passed":
            self.outcomes[str(test)] = "error" if when != "call" and outcome == "failed" else str(outcome)
        if when == "teardown" and str(test) == self.ledger.test:
            # Now: the next test may patch the same again, and nothing would seem to have happened.
            for event in self.surroundings.watch.changes():
                self.ledger.top.append(event)  # making one may put others before it

    def close(self) -> None:
        """Write what is only known at the end."""
        if self.lost:
            self.ledger.trouble(RecursionError("calls near the limit of recursion were lost"))
        self.ledger.top.append({"e": "end", "counts": self.definitions.called(), "tests": self.outcomes})

    def imported(self, name: str) -> None:
        """Start to watch a module that was just executed, and set what the subject file presets after it."""
        module = sys.modules.get(name)
        if module is None or self.whose.kinds.get(getattr(module, "__file__", "") or "") != SUBJECT:
            return
        for after, target, value in self.config["presets"]:
            if after == name:
                preset(target, value)
        self.surroundings.watch.add(module)
        self.surroundings.watch.refresh()
