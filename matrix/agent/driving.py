"""Making a call: binding its arguments to the release's signature, driving what is asynchronous."""

from __future__ import annotations

import inspect
import types
from typing import Any, Dict, List


class Failure(Exception):
    """A call that got no outcome of its own: the verdict and why."""

    def __init__(self, verdict: str, detail: str, call: int = 0) -> None:
        """Keep the facts."""
        super().__init__(detail)
        self.verdict, self.detail, self.call = verdict, detail, call


def bind(function: Any, event: Dict[str, Any], args: List[Any], kwargs: Dict[str, Any]) -> str:
    """Bind the arguments to the release's own signature; return which of them land elsewhere, if any do.

    Raises:
        Failure: they do not bind.
    """
    if event["kind"] == "property":
        return ""
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return ""
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        if "raise" in event["outcome"] and takes(function, args, kwargs):
            return ""  # what the wrapper then raises is compared
        raise Failure("signature", str(error)) from None
    names = list(signature.parameters)
    kinds = [p.kind for p in signature.parameters.values()]
    moved = []
    given = [a for a in event["args"] if a["form"] not in ("defaulted", "keyword")]
    for index, argument in enumerate(given[: len(args)]):
        name = argument["name"]
        if index < len(names) and kinds[index] in (0, 1) and names[index] != name and name in names:
            moved.append("%s lands on %s" % (name, names[index]))
    return ", ".join(moved)


def takes(function: Any, args: List[Any], kwargs: Dict[str, Any]) -> bool:
    """Say whether a wrapper takes arguments that what it says to wrap does not."""
    try:
        inspect.signature(function, follow_wrapped=False).bind(*args, **kwargs)
    except (ValueError, TypeError):
        return False
    return True


def calling(function: Any, args: Any, kwargs: Any) -> Any:
    """Call a function: the code of every call, as its caller's."""
    return function(*args, **kwargs)


def call_from(caller: Any, file: str) -> Any:
    """Return ``calling`` as if it stood in the module and the line of the caller that a trace names."""
    code = calling.__code__.replace(co_filename=file, co_firstlineno=max(caller["line"] - 2, 1), co_name="<caller>")
    return types.FunctionType(code, {"__name__": caller["module"]})


class Synchronous:
    """An asynchronous iterator, one item at a time."""

    def __init__(self, iterator: Any) -> None:
        """Wrap it."""
        self.iterator = iterator

    def __next__(self) -> Any:
        """Return the next item."""
        try:
            return drive(self.iterator.__anext__())
        except StopAsyncIteration:
            raise StopIteration from None

    def close(self) -> None:
        """End it."""
        drive(self.iterator.aclose())


LOOPS: List[Any] = []  # all of them: one that is collected while open warns


def fresh_loop() -> None:
    """Let the next test have a loop without the tasks that this one left behind."""
    if LOOPS and LOOPS[-1] is not None:
        LOOPS.append(None)


def drive(awaitable: Any) -> Any:
    """Return the result of an awaitable, run by a loop of our own."""
    import asyncio

    async def wait() -> Any:
        return await awaitable

    outer = asyncio._get_running_loop()
    if outer is not None:  # a function of the caller's awaits it: nothing else goes on meanwhile
        asyncio._set_running_loop(None)
        inner = asyncio.new_event_loop()
        try:
            return inner.run_until_complete(wait())
        finally:
            inner.close()
            asyncio._set_running_loop(outer)
    if not LOOPS or LOOPS[-1] is None:
        LOOPS.append(asyncio.new_event_loop())
        asyncio.set_event_loop(LOOPS[-1])
    return LOOPS[-1].run_until_complete(wait())
