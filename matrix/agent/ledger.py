"""What the parts of a recorder share: the events, the calls under way, and what the test at hand has done so far."""

from __future__ import annotations

import os
import sys
import types
from typing import Any, Dict, List, Optional, Tuple

from .known import Known
from .sink import Sink
from .snapshot import Snapshots
from .templates import Templates
from .underway import Token
from .values import Json
from .whose import Whose, get_frame


class Ledger:
    """Where events go, and what they refer to."""

    def __init__(self, config: Dict[str, Any]) -> None:
        """Open the file of events."""
        self.config = config
        self.whose = Whose(config)
        self.modules, self.kinds = self.whose.modules, self.whose.kinds
        self.inner = bool(config.get("inner"))
        self.top = Sink(config["out"])
        self.sink_now: List[Json] = self.top
        self.templates = Templates(config["templates"])
        self.known = Known()
        self.snapshots = Snapshots(self)
        self.calls = 0
        self.tokens: Dict[int, Token] = {}  # by the frame
        self.live: List[int] = []  # of each function: its tokens
        self.lambdas = 0  # tokens of lambdas
        self.boundaries: List[Token] = []
        self.test = ""
        self.loaded = 0  # the calls that were made before the first test
        self.begun = 0  # and before this one
        self.seen: set[str] = set()
        self.made: List[int] = []  # calls from outside in this test
        self.last_calls: Dict[Tuple[int, Any], int] = {}
        self.small: Dict[int, Any] = {}  # what calls of this test gave that has no identity of its own
        self.pickles: Dict[int, Tuple[bytes, int]] = {}  # by who they are, with the number of the copy
        self.times: Dict[Tuple[int, ...], int] = {}  # how often this test made a call at a place, and the way to it

    def begin(self, frame: types.FrameType, token: Token) -> None:
        """Note that a call is under way in a frame."""
        self.end(frame)  # one before it may have ended unheard
        self.tokens[id(frame)] = token
        self.live[token.definition.ident] += 1
        self.lambdas += token.definition.kind == "lambda"

    def end(self, frame: types.FrameType) -> Optional[Token]:
        """Return the call under way in a frame, which is over, if there is one."""
        token = self.tokens.pop(id(frame), None)
        if token is not None:
            self.live[token.definition.ident] -= 1
            self.lambdas -= token.definition.kind == "lambda"
        return token

    def fork(self) -> None:
        """Go on as another process: what is under way here ends in the one before, and numbers begin behind its own."""
        own = self.snapshots.own
        self.calls = own.numbers = self.known.clocks = max(self.calls, own.numbers, self.known.clocks)
        self.top.fork(self.calls, self.test)
        self.boundaries.clear()
        for token in self.tokens.values():
            token.dropped = True

    def trouble(self, error: BaseException) -> None:
        """Note an error of ours in the trace: a recording that lost something says so."""
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = "%s:%d" % (os.path.basename(frame.tb_frame.f_code.co_filename), frame.tb_lineno) if frame else ""
        self.top.append({"e": "trouble", "what": "%s: %s" % (type(error).__name__, str(error)[:200]), "where": where})

    def switch(self) -> None:
        """Note which test runs now, where the test runner tells."""
        current = os.environ.get("PYTEST_CURRENT_TEST", "")
        test = current.rpartition(" ")[0] or self.unittest()
        if test != self.test:
            if not self.test:
                self.loaded = self.calls
            self.begun = self.calls
            self.test = test
            self.last_calls.clear()
            self.small.clear()
            self.pickles.clear()
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

    def since(self, calls: int) -> List[int]:
        """Return the calls from outside that this test made after so many calls."""
        return [call for call in self.made if call > calls]

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
