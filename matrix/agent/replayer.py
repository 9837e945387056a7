"""Replays the events of one test, one by one, against the release that is installed."""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import re
import sys
import warnings
from typing import Any, Dict, Iterator, List, Optional, Tuple

from . import making, snapshot, world
from .checks import warning
from .driving import Failure, Synchronous, bind, call_from, calling, drive
from .evaluate import evaluate, function_named
from .held import remember
from .making import Absent, Blocked, Broken, Makers, Missing, Stop, Unreplayable, first_line
from .playback import Playback
from .values import BadValue, Decoder, Encoder, Json, Templates, canonical

MISSING = object()
SHOWN = (str, int, float, bool, type(None), list, dict, tuple, bytes)
LONGEST_DETAIL = 300  # characters of a reason


class Result:
    """What a call gave here: an object, an exception, or nothing because it failed."""

    __slots__ = ("error", "failed", "iterator", "value")

    def __init__(self, value: Any = MISSING, error: Optional[BaseException] = None, failed: str = "") -> None:
        """Hold one of the three."""
        self.value, self.error, self.failed = value, error, failed
        self.iterator: Any = None


class Replayer:
    """Plays one test's events in a process of its own."""

    def __init__(self, job: Dict[str, Any], trace: Any, files: world.Files, emit: Any, ask: Any) -> None:
        """Make one.

        ``files`` is what lies on the disk and is kept up to date, ``emit(dict)`` reports, and ``ask(dict)`` talks to
        the process that runs the services.
        """
        self.modules: Tuple[str, ...] = tuple(job["modules"])
        self.imports = trace.imports
        self.definitions = trace.definitions
        self.trace, self.emit, self.ask = trace, emit, ask
        self.templates = Templates(job["templates"])
        self.makers = Makers(self)
        self.decoder = Decoder(self.templates, self.makers.hook, trace.blobs)
        self.results: Dict[int, Result] = {}
        self.files = files
        self.services: List[str] = job.get("services", [])
        self.skip: Dict[str, str] = job.get("skip", {})
        self.patches: List[Tuple[Any, str, Any]] = []
        self.clocks: Dict[int, float] = {}
        self.watched: Dict[str, Any] = {}  # arguments of the call at hand that its caller reads again
        self.quiet = False  # while what another test did is done again
        self.playback = Playback(self)

    # Values

    def result(self, call: int, path: List[List[Any]]) -> Any:
        """Return what an earlier call gave, or a part of it; raises Blocked where there is none."""
        held = self.results.get(call)
        if held is None:
            raise Blocked(call, "call %d was not made" % call)
        if path and path[0][0] == "x":
            if held.error is None:
                raise Blocked(call, "%s raised nothing" % self.trace.name(call))
            return held.error
        if held.value is MISSING:
            raise Blocked(call, self.trace.name(call))
        try:
            return making.checked(snapshot.path_of(held.value, path), "what %s gave" % self.trace.name(call))
        except (LookupError, AttributeError, TypeError):
            raise Absent(call, "%s gave nothing at %s" % (self.trace.name(call), show(path))) from None

    def hold(self, ident: int, value: Any) -> None:
        """Let references find what a stub is handed."""
        self.results[ident] = Result(value)

    def decode(self, value: Json) -> Any:
        """Return the object of a value."""
        return self.decoder.decode(value)

    def look(self, obj: Any) -> Json:
        """Return what an object looks like, for comparison with the recording."""
        return Encoder(self.templates, self.looks, {}).encode(obj)

    def looks(self, encoder: Encoder, obj: Any, depth: int) -> Optional[Json]:
        """Return the looks of an object that is no plain data."""
        held = self.makers.identities.get(id(obj))
        if held is not None and (next(iter(held))[1:], next(iter(held.values()))) in self.makers.made:
            return held
        return snapshot.look(encoder, obj, depth, self.is_subjects)

    def is_subjects(self, kind: Any) -> bool:
        """Say whether a class is the subject's."""
        name = getattr(kind, "__module__", None)
        return isinstance(name, str) and name.split(".")[0] in self.modules

    # Events

    def run(self, event: Dict[str, Any]) -> None:
        """Play one event and report what is to be judged."""
        getattr(self, "on_" + event["e"])(event)

    def on_import(self, event: Dict[str, Any]) -> None:
        """Nothing: imports are made once, before all tests."""

    on_trouble = on_test = on_import

    def on_files(self, event: Dict[str, Any]) -> None:
        """Bring files into the state that the caller made."""
        self.files.apply(event["changes"], self.content)

    def content(self, digest: str) -> bytes:
        """Return a stored content."""
        return self.decoder.stored(digest)

    def on_env(self, event: Dict[str, Any]) -> None:
        """Set or unset variables of the environment."""
        for name, value in event["changes"].items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = self.decode(value)

    def on_cwd(self, event: Dict[str, Any]) -> None:
        """Change the working directory."""
        path = self.decode(event["path"])
        roots = tuple(root + os.sep for root in self.files.roots.values())
        if not (os.path.realpath(path) + os.sep).startswith(roots):
            raise BadValue("a working directory outside of the working folders: %r" % path)
        os.chdir(path)

    def on_service(self, event: Dict[str, Any]) -> None:
        """Bring a service into a state."""
        self.restore(event["name"], event["state"])

    def restore(self, name: str, digest: Optional[str]) -> None:
        """Ask for a service's recorded state; without a digest, the one that it began with."""
        self.ask({"do": "restore", "name": name, "state": digest})

    def on_hold(self, event: Dict[str, Any]) -> None:
        """Change a collection of the caller's as the caller did."""
        with contextlib.suppress(Stop, AttributeError):
            target = self.decode({"$inst": event["inst"]})
            for name in event.get("gone", ()):
                object.__delattr__(target, name)
            for name, value in event.get("state", {}).items():
                object.__setattr__(target, name, self.decode(value))
            if "state" in event:
                return
            if "added" in event:
                target.extend(self.decode(event["added"]))
                return
            data = self.decode(event["data"])
            target.clear()
            (target.extend if isinstance(target, list) else target.update)(data)

    def on_patch(self, event: Dict[str, Any]) -> None:
        """Set, delete or put back an attribute; a target that is not there is left alone, as it cannot matter."""
        try:
            target = self.decode(event["target"])
        except Stop:
            return
        name = event["name"]
        if event.get("undo"):
            self.undo(target, name)
            return
        old = vars(target)[name] if has_own(target, name) else MISSING
        try:
            if event.get("deleted"):
                delattr(target, name)
            else:
                setattr(target, name, self.decode(event["value"]))
        except (AttributeError, TypeError):
            return
        except Stop:
            return
        self.patches.append((target, name, old))

    def undo(self, target: Any, name: str) -> None:
        """Put an attribute back as it was before its patches."""
        for index, (patched, attribute, old) in enumerate(self.patches):
            if patched is target and attribute == name:
                put_back(target, name, old)
                later = [p for p in self.patches[index:] if p[0] is not target or p[1] != name]
                self.patches = [*self.patches[:index], *later]
                return

    def on_read(self, event: Dict[str, Any]) -> None:
        """Read an attribute of the subject's modules, as the caller did."""
        try:
            making.find(event["path"], self.modules)
        except (Missing, Broken) as error:
            verdict = "missing" if isinstance(error, Missing) else "import-error"
            self.report({"read": event["path"], "verdict": verdict, "detail": str(error)})

    def on_clock(self, event: Dict[str, Any]) -> None:
        """Read the clock, as the caller did."""
        self.clocks[event["id"]] = function_named(event["of"])()

    def on_check(self, event: Dict[str, Any]) -> None:
        """Compare again what the caller compared."""
        made: Dict[str, Json] = {"check": event.get("n"), "calls": event["calls"]}
        if event.get("whole"):
            return
        try:
            held = evaluate(event["tree"], self.decode, lambda path: making.find(path, self.modules), self.clocks)
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
            return making.find(path, self.modules)

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

    # Tests

    @contextlib.contextmanager
    def restoring(self, work: str) -> Iterator[None]:
        """Begin in the working folder; in the end put back the environment and what was patched."""
        before = world.environment()
        os.chdir(work)
        yield
        for target, name, old in reversed(self.patches):
            put_back(target, name, old)
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update({name: value for name, value in before.items() if os.environ.get(name) != value})

    def run_test(self, test: str) -> None:
        """Play the events of a test, and before them what they need of other tests."""
        self.quiet = True
        for call in self.trace.needed(test):
            self.run(self.trace.calls[call])
        self.quiet = False
        for event in self.trace.tests[test]:
            self.run(event)

    # Inner calls, each by itself

    def run_inner(self, test: str, start: Tuple[Dict[str, Any], Dict[str, str]]) -> None:
        """Make each inner call of a test, in the world that it was made in; ``start`` is that of the test's begin."""
        entries, states = dict(start[0]), dict(start[1])
        inner = self.trace.inner.get(test, {})
        for event in self.trace.tests[test]:
            if event["e"] in ("env", "cwd", "patch"):
                with contextlib.suppress(Stop, BadValue, OSError):
                    self.run(event)
            for call in inner.get(event["id"], ()) if event["e"] == "call" else ():
                self.surround({**entries, **call.get("files", {})}, {**states, **call.get("services", {})})
                self.on_call(call)
            remember(event, entries, states)

    def surround(self, entries: Dict[str, Any], states: Dict[str, str]) -> None:
        """Bring files and services into a state."""
        self.files.bring({name: tuple(entry) for name, entry in entries.items() if entry is not None}, self.content)
        for name in self.services:
            self.restore(name, states.get(name))

    def is_inside(self, path: str) -> bool:
        """Say whether a path is in one of the working folders."""
        return os.path.realpath(path).startswith(tuple(root + os.sep for root in self.files.roots.values()))

    # Calls

    def on_call(self, event: Dict[str, Any]) -> None:
        """Make a call and report its outcome."""
        ident = event["id"]
        if str(ident) in self.skip:
            self.fail(event, Failure(self.skip[str(ident)], ""))
            return
        self.report({"begin": ident})
        try:
            self.call(event)
        except Failure as failure:
            self.fail(event, failure)

    def call(self, event: Dict[str, Any]) -> None:
        """Find the function, bind the arguments, call it, and look at what it did."""
        try:
            function, args, kwargs = self.prepare(event)
        except Blocked as error:
            raise self.blocked(event, error) from None
        except Missing as error:
            raise Failure("missing", str(error)) from None
        except Broken as error:
            raise Failure("import-error", str(error)) from None
        except (Unreplayable, BadValue) as error:
            raise Failure("unreplayable", str(error)) from None
        except Exception as error:
            raise Failure("unreplayable", "%s: %s" % (type(error).__name__, first_line(error))) from None
        shifted = bind(function, event, args, kwargs)
        made: Dict[str, Json] = {"call": event["id"]}
        if shifted:
            made["shifted"] = shifted
        before = world.environment()
        mocks = self.mock_counts()
        watched = {name: (value, canonical(self.look(value))) for name, value in self.watched.items()}
        if self.files.dirty:
            self.files.scan()
        with self.playback.during(event) as played, self.awaiting(event, made):
            result = self.invoke(event, function, args, kwargs)
        self.watched = {name: value for name, (value, _) in watched.items()}  # what stubs called had their own
        if played:
            made["stubs"] = played
        self.results[event["id"]] = result
        self.after(event, result, made, before, mocks)
        looks = {name: self.look(value) for name, value in self.watched.items()}
        changed = {name: look for name, look in looks.items() if canonical(look) != watched[name][1]}
        if changed:
            made.setdefault("effects", {})["args"] = changed
        self.report(made)
        if event["tier"] == "inner":
            self.settle(result)
        elif "return" in event["outcome"] and "raise" in made["outcome"]:
            self.mend(event, result)

    @contextlib.contextmanager
    def awaiting(self, event: Dict[str, Any], made: Dict[str, Json]) -> Iterator[None]:
        """Note the warnings that are shown during a call whose caller awaits some."""
        if "awaits" not in event:
            yield
            return
        shown: List[Any] = []
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings._showwarnmsg_impl = shown.append  # type: ignore[attr-defined]
            yield
        made["warned"] = [warning(message, event["awaits"], self.look) for message in shown]

    def blocked(self, event: Dict[str, Any], error: Blocked) -> Failure:
        """Return why a call cannot be made: a function that this release does not have either is missing itself."""
        held = self.results.get(error.call)
        if held is not None and held.failed == "missing" and self.lacks(event["function"]):
            return Failure("missing", "no %s" % event["function"])
        return Failure("blocked", error.reason, error.call)

    def lacks(self, function: str) -> bool:
        """Say whether a definition path leads nowhere in this release, wherever its module ends."""
        parts = function.split(".")
        for end in range(1, len(parts)):
            try:
                making.find("%s:%s" % (".".join(parts[:end]), ".".join(parts[end:])), self.modules)
            except Missing:
                continue
            except Broken:
                pass
            return False
        return True

    def settle(self, result: Result) -> None:
        """End what an inner call left open."""
        leave = getattr(result.iterator, "close", None) or getattr(result.iterator, "__exit__", None)
        with contextlib.suppress(BaseException):
            if leave is not None:
                leave(None, None, None) if leave.__name__ == "__exit__" else leave()

    def prepare(self, event: Dict[str, Any]) -> Tuple[Any, List[Any], Dict[str, Any]]:
        """Return the function and its arguments."""
        function = self.reach(event)
        if event["kind"] != "property":
            making.checked(function, "what is called")
        args: List[Any] = []
        kwargs: Dict[str, Any] = {}
        skipped = False
        self.watched = {}
        for argument in event["args"]:
            if argument["form"] == "defaulted":
                skipped = True
                continue
            value = self.decode(argument["value"])
            if argument["name"] in event.get("watched", ()):
                self.watched[argument["name"]] = value
            if argument["form"] == "keyword" or (argument["form"] == "unknown" and skipped):
                kwargs[argument["name"]] = value
            else:
                args.append(value)
        return function, args, kwargs

    def reach(self, event: Dict[str, Any]) -> Any:
        """Return what the caller called."""
        access = event["access"]
        if "opaque" in access:
            raise Unreplayable(access["opaque"])
        if "path" in access:
            module, _, name = access["path"].partition(":")
            if name == "__getattr__":  # what a module is asked for that it does not have
                return functools.partial(getattr, making.import_module(module, self.modules))
            return making.find(access["path"], self.modules)
        if "object" in access:
            return self.decode(access["object"])
        if "receiver" not in access:
            return self.decode(access["class"])
        receiver, name = self.decode(access["receiver"]), access["name"]
        if access.get("class"):
            given = access["class"]
            owner = making.find(given, self.modules) if isinstance(given, str) else self.decode(given)
            return getattr(owner, name).__get__(receiver, owner)
        owner = receiver if isinstance(receiver, type) else type(receiver)
        if event["kind"] == "property":
            return self.property(receiver, owner, name, access.get("part", "fget"))
        if name.startswith("__") and name.endswith("__"):
            found = getattr(owner, name, None)
            if found is None:
                raise Missing("%s has no %s" % (owner.__name__, name))
            binds = not isinstance(receiver, type) and hasattr(found, "__get__")
            return found.__get__(receiver, owner) if binds else found
        if inspect.getattr_static(receiver, name, MISSING) is MISSING and not hasattr(receiver, name):
            raise Missing("%s has no %s" % (owner.__name__, name))
        return getattr(receiver, name)

    @staticmethod
    def property(receiver: Any, owner: Any, name: str, part: str) -> Any:
        """Return a function that reads, sets or deletes an attribute."""
        if part == "fget":
            if inspect.getattr_static(receiver, name, MISSING) is MISSING and not hasattr(owner, "__getattr__"):
                raise Missing("%s has no %s" % (owner.__name__, name))
            return lambda *_, **__: getattr(receiver, name)
        if part == "fset":
            return lambda value: setattr(receiver, name, value)
        return lambda: delattr(receiver, name)

    def invoke(self, event: Dict[str, Any], function: Any, args: List[Any], kwargs: Dict[str, Any]) -> Result:
        """Call, and drive what was given the way that the recording was driven, to its first outcome."""
        try:
            caller = event.get("caller")
            call = call_from(caller, self.decode(caller["file"])) if caller else calling
            value = call(function, args, kwargs)
            if event["kind"] == "coroutine":
                value = drive(value)
            result = Result(value)
            if event["kind"] in ("generator", "asyncgen"):
                self.start(event, result)
        except Unreplayable as error:
            raise Failure("unreplayable", str(error)) from None
        except Stop as error:
            raise Failure("blocked", str(error), getattr(error, "call", 0)) from None
        except MemoryError:
            raise
        except BaseException as error:
            return Result(error=error)
        else:
            return result

    def start(self, event: Dict[str, Any], result: Result) -> None:
        """Take the first item of a generator, or enter a context manager made of one."""
        result.iterator = result.value
        outcome = event["outcome"]
        if event.get("via") == "context" and hasattr(result.value, "__enter__"):
            result.value = result.value.__enter__()
            return
        if hasattr(result.iterator, "__anext__"):
            result.iterator = Synchronous(result.iterator)
        elif not hasattr(result.iterator, "__next__"):
            result.iterator = iter(result.iterator)
        try:
            result.value = next(result.iterator)
        except StopIteration as stop:
            result.value, result.iterator = stop.value, None
        if "yield" not in outcome and "closed" in outcome:
            result.iterator.close()

    def on_next(self, event: Dict[str, Any]) -> None:
        """Go on with a generator, or leave a context manager."""
        held = self.results.get(event["call"])
        if held is None or held.iterator is None:
            return
        made: Dict[str, Json] = {"call": event["call"], "next": event.get("n")}
        before = world.environment()
        try:
            with self.playback.during(event) as played:
                made["outcome"] = self.advance(event, held)
            if played:
                made["stubs"] = played
        except Stop as error:
            made.update(verdict="unreplayable", detail=str(error))
        except BaseException as error:
            made["outcome"] = {"raise": self.described(error, event)}
        self.effects(made, before)
        self.report(made)

    def advance(self, event: Dict[str, Any], held: Result) -> Json:
        """Take the next item."""
        if hasattr(held.iterator, "__exit__") and not hasattr(held.iterator, "send"):
            error = self.decode(event["thrown"]) if "thrown" in event else None
            left, held.iterator = held.iterator, None
            if not left.__exit__(type(error) if error else None, error, None) and error:
                raise error
            return {"return": None}
        if "closed" in event["outcome"]:
            held.iterator.close()
            return {"closed": True}
        try:
            if "thrown" in event:
                value = held.iterator.throw(self.decode(event["thrown"]))
            else:
                value = held.iterator.send(self.decode(event["sent"])) if "sent" in event else next(held.iterator)
        except StopIteration as stop:
            return {"return": self.look(stop.value)}
        held.value = value
        return {"yield": self.look(value)}

    def after(
        self,
        event: Dict[str, Any],
        result: Result,
        made: Dict[str, Json],
        before: Dict[str, str],
        mocks: Dict[int, int],
    ) -> None:
        """Note the outcome and what the call did."""
        recorded = event["outcome"]
        how = "yield" if "yield" in recorded and result.iterator is not None else "return"
        if result.error is not None:
            made["outcome"] = {"raise": self.described(result.error, event)}
        elif "closed" in recorded:
            made["outcome"] = {"closed": True}
        else:
            made["outcome"] = {how: self.outcome(result.value, recorded.get(how))}
        self.effects(made, before)
        called = [
            {"mock": number, "name": c[0], "args": self.look(list(c[1])), "kwargs": self.look(dict(c[2]))}
            for number, count in mocks.items()
            for c in self.makers.made["mock", number].mock_calls[count:]
        ]
        if called:
            made["mocks"] = called

    def outcome(self, value: Any, recorded: Json) -> Json:
        """Return a result's looks; where the recording has a reference to an earlier result, whether it is that."""
        if isinstance(recorded, dict) and "$ref" in recorded:
            try:
                if self.result(recorded["$ref"], recorded.get("path", [])) is value:
                    return recorded
            except Stop:
                pass
        return self.look(value)

    def effects(self, made: Dict[str, Json], before: Dict[str, str]) -> None:
        """Note what changed around a call."""
        changed = self.files.scan() if self.files.dirty else {}
        effects: Dict[str, Json] = {}
        if changed:
            effects["files"] = {name: None if entry is None else list(entry) for name, entry in changed.items()}
        env = world.difference(before, world.environment())
        if env:
            effects["env"] = {name: self.look(value) for name, value in sorted(env.items())}
        if effects:
            made["effects"] = effects

    def described(self, error: BaseException, event: Dict[str, Any]) -> Json:
        """Return an exception as data, and whether the caller was ready for it."""
        made = snapshot.describe(error, self.look)
        if "str" not in made:
            made["shown"] = first_line(error)
        expected = [self.is_expected(entry, error, made) for entry in event.get("expect", [])]
        if any(expected):
            made["expected"] = True
        return made

    def is_expected(self, entry: Json, error: BaseException, made: Json) -> bool:
        """Say whether an exception is one that the caller was ready to catch."""
        names = {made["type"], *made["mro"]}
        kinds = entry["types"]
        if kinds and not any(kind in names or self.is_kind(kind or "", error) for kind in kinds):
            return False
        return entry.get("match") is None or re.search(entry["match"], str(error)) is not None

    def is_kind(self, symbol: str, error: BaseException) -> bool:
        """Say whether an exception is of the class that ``module:name`` means here."""
        module, _, name = symbol.partition(":")
        found = sys.modules.get(module)
        kind = getattr(found, name, None) if found is not None else None
        return isinstance(kind, type) and isinstance(error, kind)

    # Failures

    def fail(self, event: Dict[str, Any], failure: Failure) -> None:
        """Report a call that got no outcome, and go on as if it had done what it did in the recording."""
        made = {"call": event["id"], "verdict": failure.verdict, "detail": failure.detail}
        if failure.call:
            made["by"] = failure.call
        self.report(made)
        if event["tier"] == "inner":
            return
        self.results[event["id"]] = Result(failed=failure.verdict)
        self.mend(event, self.results[event["id"]])

    def mend(self, event: Dict[str, Any], result: Result) -> None:
        """Bring the world into the state that the recording had after a call that failed here."""
        effects = event.get("effects", {})
        for name, state in effects.get("args", {}).items():
            if name in self.watched and is_plain(state):
                become(self.watched[name], self.decode(state))
        with contextlib.suppress(ValueError, OSError):
            self.files.apply(effects.get("files", {}), self.content)
        for name, digest in effects.get("services", {}).items():
            self.restore(name, digest)
        for called in event.get("mocks", []):
            with contextlib.suppress(Stop, Exception):
                mock = self.decode({"$mock": called["mock"]})
                target = functools.reduce(getattr, filter(None, called["name"].split(".")), mock)
                target(*self.decode(called["args"]), **self.decode(called["kwargs"]))
        recorded = event["outcome"].get("return", MISSING)
        if recorded is not MISSING and is_plain(recorded):
            result.value = self.decode(recorded)

    def mock_counts(self) -> Dict[int, int]:
        """Return how often each mock was called by now."""
        return {key[1]: len(made.mock_calls) for key, made in self.makers.made.items() if key[0] == "mock"}


PLAIN = {"$tmpl", "$text", "$bytes", "$blob", "$tuple", "$dict", "$set", "$frozenset", "$float", "$std"}


def is_plain(value: Json) -> bool:
    """Say whether a recorded result is plain data, that can stand in for a result that is not there."""
    if isinstance(value, list):
        return all(is_plain(item) for item in value)
    if isinstance(value, dict):
        kinds = [key for key in value if key.startswith("$")]
        if any(kind not in PLAIN for kind in kinds):
            return False
        return all(is_plain(item) for item in value.values())
    return True


def become(held: Any, state: Any) -> None:
    """Give a list, mapping, set or bytearray the content of another."""
    if type(held) is not type(state):
        return
    if isinstance(held, (dict, set)):
        held.clear()
        held.update(state)
    else:
        held[:] = state


def has_own(target: Any, name: str) -> bool:
    """Say whether an attribute is the object's own."""
    try:
        return name in vars(target)
    except TypeError:
        return False


def put_back(target: Any, name: str, old: Any) -> None:
    """Set an attribute to what it was, or remove it."""
    with contextlib.suppress(AttributeError, TypeError):
        if old is MISSING:
            delattr(target, name)
        else:
            setattr(target, name, old)


def show(path: List[List[Any]]) -> str:
    """Return a path as Python spells it."""
    return "".join(".%s" % key if kind == "a" else "[%r]" % key for kind, key in path)


def short(value: Any, templates: Templates) -> str:
    """Return a value's text, shortened once what differs from machine to machine has its name."""
    text = templates.plain(repr(value)) if isinstance(value, SHOWN) else type(value).__name__
    return text if len(text) < 80 else text[:77] + "..."
