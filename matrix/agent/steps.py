"""What becomes of a call under way: it yields, goes on, is thrown into, ends."""

from __future__ import annotations

import types
from typing import Any, Optional

from .boundary import Boundary
from .inner import Inner
from .ledger import Ledger
from .stubs import Stubs
from .underway import Token


class Steps:
    """Takes each step of a call, be it from outside, from inside or of a stub."""

    def __init__(self, ledger: Ledger, boundary: Boundary, inner: Inner, stubs: Stubs) -> None:
        """Hand on to who records calls of each kind."""
        self.ledger, self.boundary, self.inner, self.stubs = ledger, boundary, inner, stubs

    def finish(self, token: Token, how: str, value: Any) -> None:
        """End a call: what it gave and what it did to its surroundings."""
        if token.dropped:
            return
        if token.inner:
            self.inner.finish(token, how, value)
        elif token.script is not None:
            self.stubs.finish(token, how, value)
        else:
            self.boundary.finish(token, how, value)

    def yields(self, token: Token, value: Any) -> None:
        """Note what a generator yields: the first time as the outcome of its call."""
        if token.dropped:
            return
        if token.script is not None:
            self.stubs.yields(token, value)
            return
        token.items += 1
        self.finish(token, "yield", value)
        token.yielded = token.suspended = True

    def resumes(self, token: Token, value: Any) -> None:
        """Note what was sent, and what the caller changed meanwhile."""
        token.suspended = False
        if token.dropped:
            return
        if token.script is not None:
            self.stubs.resumes(token, value)
        elif not token.inner:
            self.boundary.resumes(token, value)

    def thrown(self, token: Token, error: Optional[BaseException]) -> None:
        """Note what was thrown into a generator that was suspended."""
        if token.suspended and error is not None and not isinstance(error, GeneratorExit):
            if token.script is not None:
                self.stubs.handed(token, "thrown", error)
            else:
                token.event["thrown"] = self.ledger.snapshots.argument(error)
        token.suspended = False

    def unwind(self, error: BaseException, frame: types.FrameType) -> None:
        """End the lambdas that ``error`` came through on its way to ``frame``: they have no handler of their own."""
        trace = error.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            if trace.tb_frame is not frame and self.ledger.whose.is_probed(code):
                return  # it told of what lies deeper itself
            token = self.ledger.tokens.get(id(trace.tb_frame))
            if token is not None and trace.tb_frame is not frame and token.definition.kind == "lambda":
                self.ledger.end(trace.tb_frame)
                self.finish(token, "raise", error)
            trace = trace.tb_next
