"""Makes the calls of a trace, drives what they give, and goes on after those that fail."""

from __future__ import annotations

import contextlib
import functools
import types
import warnings
from typing import Any, Callable, Dict, Iterator, List, Optional

from . import chance, world
from .access import arguments, expect, reach
from .driving import Failure, Synchronous, bind, call_from, calling, drive
from .expectations import warning
from .finding import Blocked, Broken, Missing, Stop, Unreplayable, checked, find, first_line
from .results import MISSING, Result
from .standard import BadValue
from .values import Json, canonical

PLAIN = {"$tmpl", "$text", "$bytes", "$blob", "$tuple", "$dict", "$set", "$frozenset", "$float", "$std"}


class Caller:
    """Makes the calls of one test."""

    def __init__(self, player: Any, skip: Dict[str, str]) -> None:
        """Make one for a replayer; ``skip`` says what became of calls that ended the process before."""
        self.player, self.skip = player, skip
        self.watched: Dict[str, Any] = {}  # arguments of the call at hand that its caller reads again

    def on_call(self, event: Dict[str, Any], surround: Optional[Callable[[], None]] = None) -> None:
        """Make a call and report its outcome; the world that it needs is only made where there is such a function."""
        ident = event["id"]
        if str(ident) in self.skip:
            self.fail(event, Failure(self.skip[str(ident)], ""))
            return
        self.player.report({"begin": ident})
        try:
            if surround is not None:
                with self.failing(event):
                    expect(event["access"], self.player.modules)
                surround()
            self.call(event)
        except Failure as failure:
            self.fail(event, failure)

    @contextlib.contextmanager
    def failing(self, event: Dict[str, Any]) -> Iterator[None]:
        """Give what cannot be found or made its verdict."""
        try:
            yield
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

    def call(self, event: Dict[str, Any]) -> None:
        """Find the function, bind the arguments, call it, and look at what it did."""
        with self.failing(event):
            function = reach(event, self.player.decode, self.player.modules)
            if event["kind"] != "property":
                checked(function, "what is called")
            args, kwargs, self.watched = arguments(event, self.player.decode)
            self.draw(event)
        shifted = bind(function, event, args, kwargs)
        made: Dict[str, Json] = {"call": event["id"]}
        if shifted:
            made["shifted"] = shifted
        before = world.environment()
        mocks = self.player.outcomes.mock_counts()
        watched = {name: (value, canonical(self.player.outcomes.look(value))) for name, value in self.watched.items()}
        if self.player.files.dirty:
            self.player.files.scan()
        with self.player.playback.during(event) as played, self.awaiting(event, made):
            result = self.invoke(event, function, args, kwargs)
        self.watched = {name: value for name, (value, _) in watched.items()}  # what stubs called had their own
        if played:
            made["stubs"] = played
        self.player.results.held[event["id"]] = result
        self.player.outcomes.note(event, result, made, before, mocks)
        looks = {name: self.player.outcomes.look(value) for name, value in self.watched.items()}
        changed = {name: look for name, look in looks.items() if canonical(look) != watched[name][1]}
        if changed:
            made.setdefault("effects", {})["args"] = changed
        self.player.report(made)
        if event["tier"] == "inner":
            self.settle(result)
        elif "return" in event["outcome"] and "raise" in made["outcome"]:
            self.mend(event, result)

    def draw(self, event: Dict[str, Any]) -> None:
        """Let the random numbers be drawn that were drawn here."""
        if "random" in event:
            chance.restore(event["random"], self.player.setting.content)

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
        made["warned"] = [warning(message, event["awaits"], self.player.outcomes.look) for message in shown]

    def blocked(self, event: Dict[str, Any], error: Blocked) -> Failure:
        """Return why a call cannot be made: a function that this release does not have either is missing itself."""
        held = self.player.results.held.get(error.call)
        if held is not None and held.failed == "missing" and self.lacks(event["function"]):
            return Failure("missing", "no %s" % event["function"])
        return Failure("blocked", error.reason, error.call)

    def lacks(self, function: str) -> bool:
        """Say whether a definition path leads nowhere in this release, wherever its module ends."""
        parts = function.split(".")
        for end in range(1, len(parts)):
            try:
                find("%s:%s" % (".".join(parts[:end]), ".".join(parts[end:])), self.player.modules)
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

    def invoke(self, event: Dict[str, Any], function: Any, args: List[Any], kwargs: Dict[str, Any]) -> Result:
        """Call, and drive what was given the way that the recording was driven, to its first outcome."""
        try:
            caller = event.get("caller")
            call = call_from(caller, self.player.decode(caller["file"])) if caller else calling
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
        if event.get("via") == "context" and isinstance(result.value, types.GeneratorType):
            raise TypeError("'generator' object does not support the context manager protocol")
        if hasattr(result.iterator, "__anext__"):
            result.iterator = Synchronous(result.iterator)
        elif not hasattr(result.iterator, "__next__"):
            result.iterator = iter(result.iterator)
        try:
            result.value = next(result.iterator)
            result.items.append(result.value)
        except StopIteration as stop:
            result.value, result.iterator = stop.value, None
        if "yield" not in outcome and "closed" in outcome:
            result.iterator.close()

    def on_next(self, event: Dict[str, Any]) -> None:
        """Go on with a generator, or leave a context manager."""
        held = self.player.results.held.get(event["call"])
        if held is None or held.iterator is None:
            return
        made: Dict[str, Json] = {"call": event["call"], "next": event.get("n")}
        before = world.environment()
        try:
            self.draw(event)
            with self.player.playback.during(event) as played:
                made["outcome"] = self.advance(event, held)
            if played:
                made["stubs"] = played
        except Stop as error:
            made.update(verdict="unreplayable", detail=str(error))
        except BaseException as error:
            made["outcome"] = {"raise": self.player.outcomes.described(error, event)}
        self.player.outcomes.effects(made, before)
        self.player.report(made)

    def advance(self, event: Dict[str, Any], held: Result) -> Json:
        """Take the next item."""
        if hasattr(held.iterator, "__exit__") and not hasattr(held.iterator, "send"):
            error = self.player.decode(event["thrown"]) if "thrown" in event else None
            left, held.iterator = held.iterator, None
            if not left.__exit__(type(error) if error else None, error, None) and error:
                raise error
            return {"return": None}
        if "closed" in event["outcome"]:
            held.iterator.close()
            return {"closed": True}
        try:
            if "thrown" in event:
                value = held.iterator.throw(self.player.decode(event["thrown"]))
            else:
                value = (
                    held.iterator.send(self.player.decode(event["sent"])) if "sent" in event else next(held.iterator)
                )
        except StopIteration as stop:
            return {"return": self.player.outcomes.look(stop.value)}
        held.items.append(value)
        return {"yield": self.player.outcomes.look(value)}

    def fail(self, event: Dict[str, Any], failure: Failure) -> None:
        """Report a call that got no outcome, and go on as if it had done what it did in the recording."""
        made = {"call": event["id"], "verdict": failure.verdict, "detail": failure.detail}
        if failure.call:
            made["by"] = failure.call
        self.player.report(made)
        if event["tier"] == "inner":
            return
        self.player.results.held[event["id"]] = Result(failed=failure.verdict)
        self.mend(event, self.player.results.held[event["id"]])

    def mend(self, event: Dict[str, Any], result: Result) -> None:
        """Bring the world into the state that the recording had after a call that failed here."""
        effects = event.get("effects", {})
        for name, state in effects.get("args", {}).items():
            if name in self.watched and is_plain(state):
                become(self.watched[name], self.player.decode(state))
        with contextlib.suppress(ValueError, OSError):
            self.player.files.apply(effects.get("files", {}), self.player.setting.content)
        for name, digest in effects.get("services", {}).items():
            self.player.restore(name, digest)
        for called in event.get("mocks", []):
            with contextlib.suppress(Stop, Exception):
                mock = self.player.decode({"$mock": called["mock"]})
                target = functools.reduce(getattr, filter(None, called["name"].split(".")), mock)
                target(*self.player.decode(called["args"]), **self.player.decode(called["kwargs"]))
        recorded = event["outcome"].get("return", MISSING)
        if recorded is not MISSING and is_plain(recorded):
            result.value = self.player.decode(recorded)


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
