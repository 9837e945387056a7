"""Records the calls that tests make of the subject in this process, and where each test failed.

Standard library, pytest and the agent only; Python 3.11 and later, which the recorder needs.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Iterator

if TYPE_CHECKING:
    from types import TracebackType

AGENT = Path(__file__).resolve().parents[1] / "agent"
SUBJECT, SUITE = 1, 2  # whose a frame is, as the recorder says


def start(config: str) -> Recording:
    """Start the recorder as its configuration, the file ``config``, says."""
    spec = importlib.util.spec_from_file_location(
        "_caliper_agent", AGENT / "__init__.py", submodule_search_locations=[str(AGENT)]
    )
    assert spec is not None  # noqa: S101 # the file is ours
    sys.modules["_caliper_agent"] = importlib.util.module_from_spec(spec)
    recorder = importlib.import_module("_caliper_agent.hook").start(config)
    return Recording(recorder, importlib.import_module("_caliper_agent.callsite"))


class Recording:
    """A pytest plugin that adds to what is recorded where in the suite each test failed."""

    def __init__(self, recorder: Any, callsite: Any) -> None:
        """Write to the sink of ``recorder``."""
        self.recorder, self.callsite = recorder, callsite

    def pytest_runtest_makereport(self, item: Any, call: Any) -> None:
        """Note what ended a phase of a test early."""
        if call.excinfo is not None:
            self.recorder.guarded(self.note, item.nodeid, call.excinfo.value)

    def note(self, test: str, error: BaseException) -> None:
        """Add an event: the exception, and the place in the suite that it came from, if it came from there."""
        made = {"e": "failed", "test": test, "type": type(error).__name__, "text": shown(error)}
        self.recorder.ledger.top.append({**made, **self.place(error.__traceback__)})

    def place(self, trace: TracebackType | None) -> dict[str, Any]:
        """Return the statement of the suite that failed and the names called there; nothing below the subject's."""
        found: tuple[Any, int, int] | None = None
        for frame, line, instruction in frames_of(trace):
            whose = self.recorder.whose.of(frame)
            if whose == SUBJECT:
                return {"statement": "", "names": []}  # it went through a call, which tells
            found = (frame, line, instruction) if whose == SUITE else found
        if found is None:
            return {"statement": "", "names": []}
        frame, line, instruction = found
        site = self.callsite.make_site(frame.f_code, instruction)
        if site.node is None:
            statement = statement_at(site.source, line)
            names = [name for node in ast.walk(statement) for name in named(node)] if statement else []
        else:
            statement = site.source.statement(site.node)
            names = list(names_around(site.source, site.node))
        return {"statement": type(statement).__name__, "names": names}

    def close(self) -> None:
        """Write what is only known at the end."""
        self.recorder.close()


def frames_of(trace: TracebackType | None) -> Iterator[tuple[Any, int, int]]:
    """Yield (frame, line, instruction) of a traceback, the outermost first."""
    while trace is not None:
        yield trace.tb_frame, trace.tb_lineno, trace.tb_lasti
        trace = trace.tb_next


def statement_at(source: Any, line: int) -> ast.AST | None:
    """Return the smallest statement that ``line`` is in."""
    statements = [node for nodes in source.nodes.values() for node in nodes if isinstance(node, ast.stmt)]
    around = [node for node in statements if node.lineno <= line <= (node.end_lineno or node.lineno)]
    return min(around, key=lambda node: (node.end_lineno or 0) - node.lineno, default=None)


def names_around(source: Any, node: ast.AST) -> Iterator[str]:
    """Yield the names by which a failed expression calls something: its own, and those that it stands before."""
    yield from named(node.func if isinstance(node, ast.Call) else node)
    for child, parent in source.ancestors(node):
        if getattr(parent, "value", None) is not child and getattr(parent, "func", None) is not child:
            return
        yield from named(parent)


def named(node: ast.AST) -> Iterator[str]:
    """Yield the last name of a name or attribute."""
    if isinstance(node, ast.Attribute):
        yield node.attr
    elif isinstance(node, ast.Name):
        yield node.id


def shown(error: BaseException) -> str:
    """Return the last line of an exception as Python shows it, at most 300 characters."""
    return traceback.format_exception_only(type(error), error)[-1].strip()[:300]
