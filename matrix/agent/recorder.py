"""Records what a program does with the subject, as events (docs/trace-format.md).

The probes (``probes.py``) call ``enter``, ``leave``, ``raised``, ``suspend`` and ``resume``. A call made from outside
the subject becomes an event; one made from inside it is counted, and stored where inner calls are asked for. Nothing
here may raise into the program, and none of the subject's ``repr``, ``==`` or ``hash`` is called.
"""

from __future__ import annotations

import ast
import inspect
import json
import os
import sys
import threading
import types
from typing import Any, Dict, List, Optional, Tuple

from . import calls, callsite, checks, probes, world
from .inline import MOST, is_foreign
from .known import Known
from .snapshot import OUT_OF_SIGHT, Snapshots
from .values import Json, Templates, canonical
from .watch import Watch

LIBRARY, SUBJECT, SUITE = 0, 1, 2
SMALL = (bool, int, float, str, type(None), bytes, tuple)
RUNNERS = {"pytest_pyfunc_call", "_callTestMethod", "_callSetUp"}  # functions of test runners that call a test
get_frame = sys._getframe  # a program may take it away
CHANGEABLE = (list, dict, set, bytearray)
SWEEP = 200  # calls after which results that nothing refers to are let go


class Token:
    """A call under way."""

    __slots__ = (
        "before",
        "changeable",
        "definition",
        "dropped",
        "event",
        "inner",
        "result",
        "script",
        "services",
        "sink",
        "step",
        "suspended",
        "yielded",
    )

    def __init__(self, definition: probes.Definition, event: Dict[str, Json], sink: List[Json]) -> None:
        """Make one for an event that will go to ``sink`` when it is over."""
        self.definition, self.event, self.sink = definition, event, sink
        self.result: Any = None  # the object that a constructor makes
        self.script: Optional[List[Json]] = None  # of a stub: the events that it causes
        self.changeable: Dict[str, Tuple[Any, str]] = {}  # arguments: the object, and its state at entry
        self.yielded = False
        self.inner = False
        self.dropped = False  # one of too many like it: what it does is heard, and not kept
        self.before: Dict[str, Any] = {}  # files that changed during the call, as they were before it
        self.services: Dict[str, str] = {}
        self.suspended = False  # at a yield, and nothing was heard of it since
        self.step: Dict[str, Json] = event  # of a stub: what is under way, the call or one of its yields

    def net(self, entries: Dict[str, Any]) -> Dict[str, Any]:
        """Return what changed in the files since the call began."""
        return {name: entries.get(name) for name, old in sorted(self.before.items()) if entries.get(name) != old}


class Delegate:
    """What a recorded generator yields from: an iterator that tells what passes through it."""

    def __init__(self, recorder: "Recorder", token: Token, inner: Any) -> None:
        """Stand before ``inner``."""
        self.recorder, self.token, self.inner = recorder, token, iter(inner)

    def __iter__(self) -> "Delegate":
        """Be an iterator."""
        return self

    def passed(self, value: Any) -> Any:
        """Tell what is yielded."""
        self.recorder.guarded(self.recorder.yields, self.token, value)
        return value

    def __next__(self) -> Any:
        """Go on."""
        self.recorder.guarded(self.recorder.resumes, self.token, None)
        return self.passed(next(self.inner))

    def send(self, value: Any) -> Any:
        """Go on with what was sent."""
        self.recorder.guarded(self.recorder.resumes, self.token, value)
        return self.passed(self.inner.send(value))

    def throw(self, *error: Any) -> Any:
        """Go on with an exception."""
        self.recorder.guarded(self.recorder.thrown, self.token, error[1] if len(error) > 1 and error[1] else error[0])
        if not hasattr(self.inner, "throw"):
            raise error[-1] if isinstance(error[0], type) and len(error) > 1 else error[0]
        return self.passed(self.inner.throw(*error))

    def close(self) -> None:
        """Close what can be closed."""
        if hasattr(self.inner, "close"):
            self.inner.close()


def hide(error: BaseException) -> None:
    """Take the frame of a delegate out of a traceback that begins with the generator that it is of."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_next.tb_frame.f_code.co_filename == __file__:
        trace.tb_next = trace.tb_next.tb_next


class Sink(List[Json]):
    """The events of the program itself, written out as they come."""

    def __init__(self, path: str) -> None:
        """Append to the file at ``path``, a JSON line an event."""
        super().__init__()
        self.path, self.handle, self.pid = path, -1, 0

    def append(self, event: Json) -> None:
        """Write one event; a killed program loses none that was written."""
        if self.pid != os.getpid():  # a fork writes a file of its own
            self.pid = os.getpid()
            self.handle = os.open("%s.%d" % (self.path, self.pid), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        # Not sorted: the order of a mapping's keys is part of the value.
        data = json.dumps(event, separators=(",", ":")).encode("ascii") + b"\n"
        while data:
            data = data[os.write(self.handle, data) :]


class Recorder:
    """The one recorder of a process."""

    def __init__(self, config: Dict[str, Any]) -> None:
        """Make one from the configuration that ``recording.py`` wrote."""
        self.config = config
        self.modules = tuple(config["modules"])
        self.suite_modules = tuple(config["suite_modules"])
        self.suite_roots = tuple(os.path.realpath(root) + os.sep for root in config["suite_roots"])
        self.definitions: List[probes.Definition] = []
        self.counts: List[int] = []
        self.boundary: List[int] = []
        self.kinds: Dict[str, int] = {}
        self.tokens: Dict[int, Token] = {}
        self.lock = threading.RLock()
        self.local = threading.local()
        self.top = Sink(config["out"])
        self.sink_now: List[Json] = self.top
        self.test = ""
        self.outcomes: Dict[str, str] = {}
        self.seen: set[str] = set()
        self.calls = 0
        self.inner = bool(config.get("inner"))
        self.loops = int(config.get("loops") or 0)
        self.boundaries: List[Token] = []
        self.templates = Templates(config["templates"])
        self.known = Known()
        self.snapshots = Snapshots(self)
        self.files = world.Files(config["roots"], self.snapshots.store, self.templates)
        self.dirty = True
        self.environ = dict(os.environ)
        self.cwd = os.getcwd()
        self.watch = Watch(self)
        self.services = Services(config.get("control", ""))
        self.lost = False
        self.threads: Dict[int, int] = {}
        self.made: List[int] = []  # calls from outside in this test
        self.last_calls: Dict[Tuple[int, Any], int] = {}
        self.small: Dict[int, Any] = {}  # what calls of this test gave that has no identity of its own
        self.times: Dict[Tuple[int, ...], int] = {}  # how often this test made a call at a place, and the way to it

    # What is of interest

    def wants(self, name: str, path: str) -> bool:
        """Say whether a module is the subject's or the suite's."""
        return self.kind_of(name, path) != LIBRARY

    def kind_of(self, name: str, path: str) -> int:
        """Return whose a module is."""
        if any(name == suite or name.startswith(suite + ".") for suite in self.suite_modules):
            return SUITE
        if name.split(".", 1)[0] in self.modules:
            return SUITE if any(part in ("tests", "test", "conftest") for part in name.split(".")[1:]) else SUBJECT
        return SUITE if os.path.realpath(path).startswith(self.suite_roots) and "site-packages" not in path else LIBRARY

    def compile(self, source: Any, path: str, name: str) -> Any:
        """Return the code of a module with its probes."""
        return compile(self.rewrite(source, path, name), path, "exec", dont_inherit=True)

    def rewrite(self, source: Any, path: str, name: str) -> Any:
        """Return the tree of a module with its probes."""
        kind = self.kinds[path] = self.kind_of(name, path)
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
            self.definitions.append(probes.Definition(len(self.definitions), module, qualname, node, form, suite))
            return len(self.definitions) - 1

        return define

    def is_subjects(self, module: Any) -> bool:
        """Say whether a module of this name is the subject's."""
        return isinstance(module, str) and self.kind_of(module, "") == SUBJECT

    def guess(self, make: Any, *arguments: Any) -> Any:
        """Return what ``make`` makes of the recorder and some arguments; None where it fails."""
        try:
            return make(self, *arguments)
        except Exception as error:
            self.trouble(error)
            return None

    def imports(self, path: str, through: Tuple[str, ...] = ()) -> None:
        """Note what a file of the suite imports of the subject and of others, at its top.

        A module of the suite's own is not there in a replay: what that imports in turn stands for it. ``through`` are
        the files on the way to this one, first the one that is meant.
        """
        way = (*through, os.path.realpath(path))
        folders = [*self.suite_roots, os.path.dirname(way[-1])]
        for event in checks.imports_of(callsite.source_of(path), self.place(way[0]), self.modules):
            places = [os.path.join(folder, *event["module"].split(".")) for folder in folders]
            own = [place + end for place in places for end in (".py", "") if os.path.exists(place + end)]
            if event["subject"] or not own:
                self.top.append(event)
            elif own[0].endswith(".py") and own[0] not in way and not event["optional"]:
                self.imports(own[0], way)

    def place(self, path: str) -> str:
        """Return a file's path as the test runner names it: relative to the working directory."""
        path = os.path.realpath(path)
        for name in ("work", "site"):
            root = os.path.realpath(self.config["roots"].get(name, "")) + os.sep
            if path.startswith(root):
                return path[len(root) :]
        return path

    def module_at(self, path: str) -> str:
        """Return the name of the module of the suite at ``path``: its path with dots."""
        return self.place(path).rpartition(".")[0].replace("/", ".")

    def report(self, test: str, when: str, outcome: str) -> None:
        """Note the outcome of a phase of a test; the trace keeps what is worse than passed."""
        if when == "call" or outcome != "passed":
            self.outcomes[str(test)] = "error" if when != "call" and outcome == "failed" else str(outcome)

    def close(self) -> None:
        """Write what is only known at the end."""
        counts = {d.function: [0, 0] for d in self.definitions if not d.suite}
        for definition, count, boundary in zip(self.definitions, self.counts, self.boundary):
            if not definition.suite:
                counts[definition.function][0] += count
                counts[definition.function][1] += boundary
        if self.lost:
            self.trouble(RecursionError("calls near the limit of recursion were lost"))
        called = {name: count for name, count in sorted(counts.items()) if count[0]}
        self.top.append({"e": "end", "counts": called, "tests": self.outcomes})

    def imported(self, name: str) -> None:
        """Start to watch a module that was just executed, and set what the subject file presets after it."""
        module = sys.modules.get(name)
        if module is None or self.kinds.get(getattr(module, "__file__", "") or "") != SUBJECT:
            return
        for after, target, value in self.config["presets"]:
            if after == name:
                preset(target, value)
        self.watch.add(module)
        self.watch.refresh()

    # The probes

    def enter(self, ident: int, *values: Any) -> None:
        """Note that a body begins."""
        frame = get_frame(1)
        self.counts[ident] += 1
        caller = frame.f_back
        definition = self.definitions[ident]
        if definition.generated and frame.f_code.co_filename != "<string>":
            self.kinds.setdefault(frame.f_code.co_filename, SUBJECT)
        if caller is not None and not definition.suite and self.kinds.get(caller.f_code.co_filename) == SUBJECT:
            if self.inner:
                try:
                    self.guarded(self.begin_inner, frame, definition, values)
                except RecursionError:
                    self.lost = True
            return  # otherwise an inner call is only counted
        try:
            self.guarded(self.begin, frame, definition, values)
        except RecursionError:
            self.lost = True

    def leave(self, value: Any) -> Any:
        """Note that a body returns ``value``, and return it."""
        token = self.tokens.pop(id(get_frame(1)), None) if self.tokens else None
        if token is not None:
            try:
                self.guarded(self.finish, token, "return", value)
            except RecursionError:
                self.lost = True
        return value

    def leave2(self, _entered: None, value: Any) -> Any:
        """Note that a lambda returns ``value``, and return it."""
        token = self.tokens.pop(id(get_frame(1)), None) if self.tokens else None
        if token is not None:
            try:
                self.guarded(self.finish, token, "return", value)
            except RecursionError:
                self.lost = True
        return value

    def raised(self) -> None:
        """Note that a body raises."""
        if not self.tokens:
            return
        error = sys.exc_info()[1]
        token = self.tokens.pop(id(get_frame(1)), None)
        if error is not None:
            hide(error)
            try:
                self.guarded(self.unwind, error, get_frame(1))
            except RecursionError:
                self.lost = True
        if token is not None:
            try:
                self.guarded(self.thrown, token, error)
            except RecursionError:
                self.lost = True
            try:
                self.guarded(self.finish, token, "closed" if isinstance(error, GeneratorExit) else "raise", error)
            except RecursionError:
                self.lost = True

    def suspend(self, value: Any) -> Any:
        """Note that a generator yields ``value``, and return it."""
        token = self.tokens.get(id(get_frame(1))) if self.tokens else None
        if token is not None:
            try:
                self.guarded(self.yields, token, value)
            except RecursionError:
                self.lost = True
        return value

    def resume(self, value: Any) -> Any:
        """Note that a generator goes on, and return what was sent, ``value``."""
        token = self.tokens.get(id(get_frame(1))) if self.tokens else None
        if token is not None:
            try:
                self.guarded(self.resumes, token, value)
            except RecursionError:
                self.lost = True
        return value

    def caught(self) -> None:
        """Note that a generator handles an exception, or leaves a ``try`` through its ``finally``."""
        token = self.tokens.get(id(get_frame(1))) if self.tokens else None
        if token is not None and token.suspended:
            try:
                self.guarded(self.thrown, token, sys.exc_info()[1])
            except RecursionError:
                self.lost = True

    def through(self, value: Any) -> Any:
        """Return what a generator hands over to, in the place of ``value``, with ``yield from``."""
        token = self.tokens.get(id(get_frame(1))) if self.tokens else None
        return value if token is None or isinstance(value, types.CoroutineType) else Delegate(self, token, value)

    def did(self, filename: str, line: int, column: int) -> None:
        """Note that a statement of the suite was executed."""
        try:
            self.guarded(self.look, get_frame(1), filename, line, column)
        except RecursionError:
            self.lost = True

    def guarded(self, step: Any, *arguments: Any) -> None:
        """Take a step of our own; none of it may reach the program, or be recorded in turn."""
        if getattr(self.local, "busy", False):
            return
        self.local.busy = True
        try:
            with self.lock:
                step(*arguments)
        except RecursionError:
            self.lost = True  # the program is as deep as it can be: there is no room to say more
        except Exception as error:
            self.trouble(error)
        finally:
            self.local.busy = False

    def trouble(self, error: BaseException) -> None:
        """Note an error of ours in the trace: a recording that lost something says so."""
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = "%s:%d" % (os.path.basename(frame.tb_frame.f_code.co_filename), frame.tb_lineno) if frame else ""
        self.top.append({"e": "trouble", "what": "%s: %s" % (type(error).__name__, str(error)[:200]), "where": where})

    # Calls

    def outside(self, frame: types.FrameType) -> Tuple[Optional[types.FrameType], int]:
        """Return the nearest frame that is the subject's or the suite's, from ``frame`` up, and whose it is."""
        above: Optional[types.FrameType] = frame
        last = frame
        while above is not None:
            kind = self.whose(above)
            if kind != LIBRARY:
                return above, kind
            last, above = above, above.f_back
        return None, self.threads.get(
            id(last.f_locals.get("self")), LIBRARY
        ) if last.f_code.co_name == "_bootstrap" else LIBRARY

    def spawn(self, thread: Any) -> None:
        """Note who starts a thread: what the caller's threads run is called from outside."""
        self.threads[id(thread)] = self.outside(get_frame(1))[1]

    def whose(self, frame: types.FrameType) -> int:
        """Return whose a frame is; code that was generated is its module's."""
        filename = frame.f_code.co_filename
        if filename == "<string>" and str(frame.f_globals.get("__name__")).split(".")[0] in self.modules:
            return SUBJECT
        return self.kinds.get(filename, LIBRARY)

    def begin(self, frame: types.FrameType, definition: probes.Definition, values: Tuple[Any, ...]) -> None:
        """Begin a call: of a stub, or of the subject from outside."""
        caller, kind = self.outside(frame.f_back) if frame.f_back is not None else (None, LIBRARY)
        if definition.suite:
            if kind == SUBJECT and caller is not None:
                self.begin_stub(frame, caller, definition, values)
            return
        if kind == SUBJECT:
            if self.inner:  # through a library, but from inside all the same
                self.begin_inner(frame, definition, values)
            return
        self.boundary[definition.ident] += 1
        if kind == LIBRARY and not self.config["script"]:
            return  # the test runner's own use of the subject is not what the tests do
        outer = caller or frame.f_back
        self.switch()
        if caller is not None and self.is_enough(caller):
            self.drop(frame, caller, definition)
            return
        sink = self.sink_now = self.sink(caller)
        self.changes(sink)
        site = callsite.site_of(outer) if outer is not None else callsite.Site(callsite.source_of(""), None)
        if caller is not None:
            self.read(sink, self.reads(site, caller))
        event = self.snapshots.call(frame, definition, values, site, outer, direct=frame.f_back is outer)
        if (frame.f_back is not caller or self.is_through_library(site, event, caller)) and out_of_sight(event):
            self.boundary[definition.ident] -= 1  # what a library does with what is inside the subject's own objects
            return
        self.calls += 1
        if not self.calls % SWEEP:
            self.known.forget_gone()
        event["id"] = self.calls
        self.made.append(self.calls)
        if self.config.get("sites"):
            event["site"] = site.name
        if not self.test:
            self.loading(event, outer)
        if site.awaits and outer is not None:
            event["awaits"] = checks.awaited(site, outer)
        token = Token(definition, event, sink)
        self.watch_arguments(token, values, site, outer)
        if event["kind"] == "constructor" and not definition.qualname.endswith(".__new__"):
            token.result = values[0]
        self.tokens[id(frame)] = token
        self.boundaries.append(token)
        if self.inner and definition.qualname.endswith(".__init__"):
            self.snapshots.inline.on = True
            try:
                made = self.snapshots.call(frame, definition, values, site, outer, direct=frame.f_back is outer)
                self.snapshots.inline.construct(frame, values[0], made["args"])
            finally:
                self.snapshots.inline.on = False
        if site.node is not None and outer is not None and direct_call(site, event, outer):
            self.last_calls[id(outer), site.node] = self.calls

    def is_first_half(self, event: Dict[str, Json], value: Any) -> bool:
        """Say whether a class was called, and its ``__init__`` follows with the same arguments: that is the call."""
        if event.get("kind") != "constructor" or not event["qualname"].endswith(".__new__"):
            return False
        follows = type(value).__init__
        return isinstance(follows, types.FunctionType) and self.snapshots.is_subjects(follows)

    def is_through_library(self, site: callsite.Site, event: Dict[str, Json], caller: Any) -> bool:
        """Say whether what the caller spelled is a call of another library's, which called the subject in turn."""
        if not isinstance(site.node, ast.Call) or site.chain is None or direct_call(site, event, caller):
            return False
        target = calls.resolve(site.chain, caller)
        home = getattr(target, "__module__", None)
        return isinstance(home, str) and home != "builtins" and self.snapshots.home(target) == LIBRARY

    def is_enough(self, caller: types.FrameType) -> bool:
        """Say whether a test has made a call at this place, on the way that it came there, as often as is kept."""
        if not self.loops:
            return False
        way: List[int] = []
        frame: Optional[types.FrameType] = caller
        while frame is not None:
            token = self.tokens.get(id(frame))
            if token is not None and token.dropped:
                return True
            code = frame.f_code
            if code.co_name in RUNNERS:
                break
            way += (id(code), frame.f_lasti)
            frame = frame.f_back
        times = self.times[tuple(way)] = self.times.get(tuple(way), 0) + 1
        return times > self.loops

    def drop(self, frame: types.FrameType, caller: types.FrameType, definition: probes.Definition) -> None:
        """Leave out a call, and what is called in it."""
        self.last_calls.pop((id(caller), callsite.site_of(caller).node), None)
        token = self.tokens[id(frame)] = Token(definition, {}, [])
        token.dropped = True

    def watch_arguments(
        self, token: Token, values: Tuple[Any, ...], site: callsite.Site, outer: Optional[types.FrameType]
    ) -> None:
        """Remember the arguments that the call may change and that the caller reads again."""
        definition = token.definition
        for name, value in zip(definition.names, values):
            if type(value) not in CHANGEABLE or name in (definition.vararg, definition.kwarg) or outer is None:
                continue
            held = outer.f_locals
            if any(held.get(local) is value for local in site.read_later()):
                token.changeable[name] = (value, canonical(self.snapshots.state(value)))
                token.event.setdefault("watched", []).append(name)

    def loading(self, event: Dict[str, Json], frame: Optional[types.FrameType]) -> None:
        """Note which file of the suite is executed, outside of all tests: it does not load if the call fails."""
        while frame is not None:
            if frame.f_code.co_name == "<module>" and self.kinds.get(frame.f_code.co_filename) == SUITE:
                event["loads"] = self.place(frame.f_code.co_filename)
                return
            frame = frame.f_back

    def warned(self, message: Any) -> None:
        """Note a warning that is shown while a call is under way whose caller awaits some."""
        for token in self.boundaries[-1:]:
            if "awaits" in token.event:
                event = token.event
                made = checks.warning(message, event["awaits"], self.snapshots.state)
                event.setdefault("warned", []).append(made)

    def begin_inner(self, frame: types.FrameType, definition: probes.Definition, values: Tuple[Any, ...]) -> None:
        """Begin a call from inside the subject: it is kept by itself, each distinct one once."""
        outer = self.boundaries[-1] if self.boundaries else None
        inline = self.snapshots.inline
        if outer is None or len(inline.distinct.get(definition.function, ())) >= MOST:
            return
        inline.on = True
        try:
            back: Any = frame.f_back
            caller, _ = self.outside(back)
            site = callsite.site_of(caller or back)
            event = self.snapshots.call(frame, definition, values, site, caller, direct=back is caller)
            given = dict(zip(definition.names, values))
            for argument in event["args"]:
                if isinstance(argument["value"], dict) and "$opaque" in argument["value"]:
                    obj = given.get(argument["name"])
                    argument["value"] = inline.foreign(obj) if is_foreign(obj) else argument["value"]
            if definition.qualname.endswith(".__init__"):
                inline.construct(frame, values[0], event["args"])
        finally:
            inline.on = False
        if "<locals>" in event["function"]:
            return  # a closure: only what made it can call it
        event.update(tier="inner", within=outer.event["id"], usage="whole")
        event.pop("expect", None)
        key = canonical({name: event[name] for name in ("function", "access", "args")})
        if key in inline.distinct.setdefault(event["function"], {}):
            inline.distinct[event["function"]][key]["n"] += 1
            return
        event["n"] = 1
        inline.distinct[event["function"]][key] = event
        self.look_around(event, outer)
        token = Token(definition, event, self.top)
        token.inner = True
        if event["kind"] == "constructor":
            token.result = values[0]
        self.tokens[id(frame)] = token

    def look_around(self, event: Dict[str, Json], outer: Token) -> None:
        """Note what the call under way has changed in the world so far."""
        self.scan()
        changed = outer.net(self.files.entries)
        if changed:
            event["files"] = self.hide_names(changed)
        for name in self.services.changed():
            outer.services[name] = self.state(name)
        if outer.services:
            event["services"] = dict(outer.services)

    def scan(self) -> Dict[str, Any]:
        """Look at the disk if it may have changed; calls under way remember what changed during them."""
        if not self.dirty:
            return {}
        # A file that was opened to be written during a call may be written at any time until the call ends.
        self.dirty = bool(self.boundaries)
        before = dict(self.files.entries) if self.boundaries else {}
        changed = self.files.scan()
        for token in self.boundaries:
            for name in changed:
                token.before.setdefault(name, before.get(name))
        return changed

    def finish_inner(self, token: Token, how: str, value: Any) -> None:
        """End an inner call."""
        if token.yielded:
            return
        if token.result is not None and how == "return":
            value = token.result
        event = token.event
        inline = self.snapshots.inline
        event["outcome"] = self.snapshots.outcome(how, value, inner=True)
        self.calls += 1
        event["id"] = self.calls
        inline.on = False
        self.top.append(event)
        token.yielded = True

    def since(self, calls: int) -> List[int]:
        """Return the calls from outside that this test made after so many calls."""
        return [call for call in self.made if call > calls]

    def reads(self, site: callsite.Site, caller: types.FrameType) -> List[Json]:
        """Return the reads of the subject's modules that the call's arguments make."""
        return [] if site.node is None else checks.reads_of(site.source, site.node, caller, self.modules)

    def read(self, sink: List[Json], events: List[Json]) -> None:
        """Note reads of the subject's modules, each once a test."""
        for event in events:
            if event["path"] not in self.seen:
                self.seen.add(event["path"])
                sink.append(event)

    def sink(self, caller: Optional[types.FrameType]) -> List[Json]:
        """Return where the events of a caller go: to the stub that it runs in, or to the trace."""
        while caller is not None:
            token = self.tokens.get(id(caller))
            if token is not None and token.script is not None:
                return token.script
            caller = caller.f_back
        return self.top

    def finish(self, token: Token, how: str, value: Any) -> None:
        """End a call: what it gave and what it did to its surroundings."""
        if token.dropped:
            return
        if token.inner:
            self.finish_inner(token, how, value)
            return
        if token.script is not None:
            self.pause(token)
            token.event["outcome"] = self.snapshots.outcome(how, value, for_replay=True)
            return
        ident = token.event["id"]
        if token.yielded:
            event: Dict[str, Json] = {"e": "next", "call": ident}
            if token.suspended and how != "closed":
                event["thrown"] = {"$opaque": "an exception that nothing in the generator names"}
            event.update({name: token.event.pop(name) for name in ("sent", "thrown") if name in token.event})
        else:
            event = token.event
        if token.result is not None and how == "return":
            value = token.result
            self.known.forget_handed(value, ident)
        if how == "return" and self.is_first_half(event, value):
            self.boundaries.remove(token)
            self.made.remove(ident)
            return
        try:
            event["outcome"] = self.snapshots.outcome(how, value, ident=None if token.yielded else ident)
            self.effects(event, token)
        finally:
            if token in self.boundaries:
                self.boundaries.remove(token)
        if how == "return" and type(value) in SMALL:
            self.small[ident] = value
        changed = self.mutated(token)
        if changed:
            event.setdefault("effects", {})["args"] = changed
        token.sink.append(event)

    def mutated(self, token: Token) -> Dict[str, Json]:
        """Return the arguments that are not as they were, with what they are now."""
        changed: Dict[str, Json] = {}
        for name, (value, before) in token.changeable.items():
            now = self.snapshots.state(value)
            if canonical(now) != before:
                token.changeable[name] = (value, canonical(now))
                changed[name] = now
        return changed

    def yields(self, token: Token, value: Any) -> None:
        """Note what a generator yields: the first time as the outcome of its call."""
        if token.dropped:
            return
        if token.script is not None:
            self.pause(token)
            token.step = self.snapshots.outcome("yield", value, for_replay=True)
            token.event.setdefault("yields", []).append(token.step)
            token.suspended = True
            return
        self.finish(token, "yield", value)
        token.yielded = token.suspended = True

    def resumes(self, token: Token, value: Any) -> None:
        """Note what was sent, and what the caller changed meanwhile."""
        token.suspended = False
        if token.dropped:
            return
        if token.script is not None:
            self.holds([])
            self.handed(token, "sent", value)
        elif not token.inner:
            self.changes(token.sink)
            if value is not None:
                token.event["sent"] = self.snapshots.argument(value)

    def thrown(self, token: Token, error: Optional[BaseException]) -> None:
        """Note what was thrown into a generator that was suspended."""
        if token.suspended and error is not None and not isinstance(error, GeneratorExit):
            if token.script is not None:
                self.handed(token, "thrown", error)
            else:
                token.event["thrown"] = self.snapshots.argument(error)
        token.suspended = False

    def pause(self, token: Token) -> None:
        """Note what a stub did since it began, or went on."""
        self.holds(token.script if token.script is not None else [])
        if token.script:
            token.step["events"] = token.script
            token.script = []

    def handed(self, token: Token, how: str, value: Any) -> None:
        """Note what a stub that was suspended is handed: what it does with that names it by the stub's own call."""
        if value is None:
            return
        token.step[how] = self.snapshots.argument(value)
        self.known.hand(value, token.event["id"], len(token.event["yields"]), self.snapshots.is_own)

    def unwind(self, error: BaseException, frame: types.FrameType) -> None:
        """End the lambdas that ``error`` came through on its way to ``frame``: they have no handler of their own."""
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if trace.tb_frame is not frame and self.is_probed(code):
                return  # it told of what lies deeper itself
            token = self.tokens.get(id(trace.tb_frame))
            if token is not None and trace.tb_frame is not frame and token.definition.kind == "lambda":
                del self.tokens[id(trace.tb_frame)]
                self.finish(token, "raise", error)
            trace = trace.tb_next

    def is_probed(self, code: types.CodeType) -> bool:
        """Say whether a body tells what it raises: that of a function, and not of a lambda or a comprehension."""
        kind = self.kinds.get(code.co_filename, LIBRARY)
        return kind != LIBRARY and code.co_name[:1] != "<" and bool(code.co_flags & inspect.CO_OPTIMIZED)

    def begin_stub(
        self, frame: types.FrameType, caller: types.FrameType, definition: probes.Definition, values: Tuple[Any, ...]
    ) -> None:
        """Begin a call from the subject to a function of the caller's."""
        stub = self.snapshots.own.stub_of(frame.f_code)
        above: Optional[types.FrameType] = caller
        while above is not None:
            token = self.tokens.get(id(above))
            if token is not None and token.dropped:
                return
            if token is not None and token.script is None:
                event = {"stub": stub}
                token.event.setdefault("stubs", []).append(event)
                if not token.inner:
                    self.holds([])
                    self.calls += 1
                    event["id"] = self.calls
                    for name, value in zip(definition.names, values):
                        self.known.hand(value, self.calls, name, self.snapshots.is_own)
                event["values"] = self.snapshots.bound(definition, values)
                if not token.inner:
                    inner = Token(definition, event, [])
                    inner.script = []
                    self.tokens[id(frame)] = inner
                    return
            above = above.f_back

    # Surroundings

    def switch(self) -> None:
        """Note which test runs now, where the test runner tells."""
        current = os.environ.get("PYTEST_CURRENT_TEST", "")
        test = current.rpartition(" ")[0] or self.unittest()
        if test != self.test:
            self.test = test
            self.last_calls.clear()
            self.small.clear()
            self.times.clear()
            self.made.clear()
            self.known.forget()
            self.seen.clear()
            self.top.append({"e": "test", "id": test})

    @staticmethod
    def unittest() -> str:
        """Return the test that unittest's own runner is in, from the frames."""
        if "unittest" not in sys.modules:
            return ""
        case = sys.modules["unittest"].TestCase
        frame: Optional[types.FrameType] = get_frame(1)
        while frame is not None:
            if frame.f_code.co_name == "run" and isinstance(frame.f_locals.get("self"), case):
                return str(frame.f_locals["self"].id())
            frame = frame.f_back
        return ""

    def changes(self, sink: List[Json]) -> None:
        """Note what the caller changed since the subject last ran."""
        changed = self.scan()
        if changed:
            sink.append({"e": "files", "changes": self.hide_names(changed)})
        env = world.difference(self.environ, dict(os.environ))
        if env:
            self.environ = dict(os.environ)
            sink.append(
                {"e": "env", "changes": {name: self.snapshots.argument(value) for name, value in sorted(env.items())}}
            )
        cwd = os.getcwd()
        if cwd != self.cwd:
            self.cwd = cwd
            sink.append({"e": "cwd", "path": self.snapshots.argument(cwd)})
        for event in self.watch.changes():
            sink.append(event)  # noqa: PERF402 # making an event may put others before it
        for name in self.services.changed():
            sink.append({"e": "service", "name": name, "state": self.state(name)})  # noqa: PERF401 # as above
        self.holds(sink)

    def holds(self, sink: List[Json]) -> None:
        """Note what the caller changed in the collections that keep who they are."""
        for event in self.snapshots.own.changes():
            sink.append(event)  # noqa: PERF402 # making an event may put others before it

    def effects(self, event: Dict[str, Json], token: Token) -> None:
        """Note what a call changed."""
        effects: Dict[str, Json] = {}
        self.scan()
        changed = token.net(self.files.entries)
        token.before.clear()
        self.dirty = len(self.boundaries) > 1
        if changed:
            effects["files"] = self.hide_names(changed)
        env = world.difference(self.environ, dict(os.environ))
        if env:
            self.environ = dict(os.environ)
            effects["env"] = {name: self.snapshots.argument(value) for name, value in sorted(env.items())}
        cwd = os.getcwd()
        if cwd != self.cwd:
            self.cwd = cwd
            effects["cwd"] = self.snapshots.argument(cwd)
        self.watch.refresh()
        self.holds([])  # what the subject did to them it will do again
        for name in self.services.changed():
            token.services[name] = self.state(name)
        if token.services:
            effects["services"] = dict(token.services)
        mocks = self.snapshots.own.mock_calls()
        if mocks:
            event["mocks"] = mocks
        if effects:
            event["effects"] = effects

    def hide_names(self, changed: Dict[str, Any]) -> Json:
        """Return file changes as JSON."""
        return {name: None if entry is None else list(entry) for name, entry in changed.items()}

    def state(self, name: str) -> str:
        """Store the state that a service is in and return its digest."""
        value = self.services.snapshot(name)
        digest: str = self.snapshots.store(canonical(value).encode("ascii"))
        return digest

    def look(self, frame: types.FrameType, filename: str, line: int, column: int) -> None:
        """Note what an executed statement of the suite looked at."""
        source = callsite.source_of(filename)
        self.switch()
        if self.is_enough(frame):
            return
        for event in checks.events_of(source, line, column, frame, self):
            if event["e"] == "read":
                self.read(self.sink(frame), [event])
            else:
                self.holds(self.sink(frame))
                self.sink(frame).append(event)


def out_of_sight(event: Dict[str, Json]) -> bool:
    """Say whether a call is on or with an object of the subject's that its caller never held."""
    return OUT_OF_SIGHT in canonical([event["access"], event["args"]])


def direct_call(site: callsite.Site, event: Dict[str, Json], caller: types.FrameType) -> bool:
    """Say whether a call is what its caller spelled, not one made by what was spelled: ``list(generator())``."""
    access, name = event["access"], site.name
    spelled = str(access.get("name") or access.get("path", "")).rpartition(":")[2].rpartition(".")[2]
    target = calls.resolve(site.chain, caller) if site.chain is not None else None
    if event["kind"] == "constructor":
        return target is None or isinstance(target, type)  # not ``copy.copy(…)``, which constructs as well
    if spelled == "__call__":  # an object that was called, unless a function was that called it
        return not isinstance(target, (type, types.FunctionType, types.BuiltinFunctionType))
    return "object" in access or spelled == name


class Services:
    """The services around the program, asked over a socket of the process that runs them."""

    def __init__(self, address: str) -> None:
        """Connect when first needed; without an address there are none."""
        self.address, self.file = address, None
        self.generations: Dict[str, int] = {}
        if address:
            self.changed()

    def ask(self, request: Dict[str, Json]) -> Json:
        """Send a request and return the answer."""
        import socket

        if self.file is None or self.pid != os.getpid():
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.connect(self.address)
            self.file, self.pid = connection.makefile("rwb"), os.getpid()  # type: ignore[assignment]
        self.file.write(json.dumps(request).encode("ascii") + b"\n")  # type: ignore[attr-defined]
        self.file.flush()  # type: ignore[attr-defined]
        return json.loads(self.file.readline())  # type: ignore[attr-defined]

    def changed(self) -> List[str]:
        """Return the names of the services whose state changed since this was last asked."""
        if not self.address:
            return []
        new = self.ask({"do": "generations"})
        changed = sorted(name for name in new if new[name] != self.generations.get(name))
        self.generations = new
        return changed

    def snapshot(self, name: str) -> Json:
        """Return a service's state."""
        return self.ask({"do": "snapshot", "name": name})


def preset(target: str, value: Any) -> None:
    """Set ``module:attribute`` where it is there; a release that lacks it is left as it is."""
    module, _, name = target.partition(":")
    if hasattr(sys.modules.get(module), name):
        setattr(sys.modules[module], name, value)
