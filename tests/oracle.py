"""An independent count of calls: how often each function of some packages ran, by ``sys.setprofile``.

It is the referee of the recorder and shares nothing with it. It is run by its path, in the environment of the program::

    python oracle.py -o counts.json -p packaging [--outside packaging.tests] -- -m pytest tests

and writes ``{"calls": {function: times}, "boundary": {function: times}}``, a function being its module and qualified
name. The program's output and exit status stay as they are.

A call is a body that starts: resuming a generator or coroutine is none, and one that is never started is none. Class
bodies, modules and comprehensions are not functions; lambdas, nested functions and the constructors that ``dataclass``
and ``namedtuple`` generate are. A boundary call is one whose nearest caller, libraries left out, is outside the
packages; the first caller in a thread is who started it.
"""

from __future__ import annotations

import argparse
import collections
import dis
import functools
import inspect
import itertools
import json
import re
import runpy
import sys
import sysconfig
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType

COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>", "<generic parameters of ")
GENERATORS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
LIBRARIES = tuple({f"{path}/" for path in map(sysconfig.get_path, ("stdlib", "platstdlib", "purelib", "platlib"))})


@functools.cache
def is_function(code: CodeType) -> bool:
    """Say whether ``code`` is the body of a function, not of a class, a module or a comprehension."""
    return bool(code.co_flags & inspect.CO_OPTIMIZED) and not code.co_name.startswith(COMPREHENSIONS)


@functools.cache
def start_of(code: CodeType) -> int:
    """Return the offset at which the body of a generator is entered the first time; it is resumed at others."""
    return next(instruction.offset for instruction in dis.get_instructions(code) if instruction.opname == "RESUME")


def starts(frame: FrameType) -> bool:
    """Say whether this ``call`` event is the start of a body, not a generator's resumption or its end unstarted."""
    return not frame.f_code.co_flags & GENERATORS or frame.f_lasti == start_of(frame.f_code)


@functools.cache
def is_library(filename: str) -> bool:
    """Say whether a file came with Python or was installed, or is this one."""
    return filename.startswith((*LIBRARIES, "<frozen ", __file__))


def generated_name(frame: FrameType) -> tuple[str, str] | None:
    """Return module and qualified name of a constructor without source, by its class; None for anything else."""
    code = frame.f_code
    if code.co_name not in ("__init__", "<lambda>"):
        return None
    owner = frame.f_locals[code.co_varnames[0]] if code.co_argcount else None
    classes = (owner if isinstance(owner, type) else type(owner)).__mro__
    # namedtuple makes its __new__ of a lambda.
    name = "__new__" if code.co_name == "<lambda>" else code.co_name
    for cls in classes:
        held = vars(cls).get(name)
        held = getattr(held, "__func__", held)
        if getattr(getattr(held, "__wrapped__", held), "__code__", None) is code:
            return cls.__module__, f"{cls.__qualname__}.{name}"
    return None


def name_of(frame: FrameType) -> tuple[str, str] | None:
    """Return module and qualified name of what a frame runs, None for code from no file that is no constructor.

    A function inside of a comprehension is named as if it stood beside it, as it does since comprehensions are inlined.
    """
    code = frame.f_code
    if code.co_filename.startswith("<"):
        return generated_name(frame)
    return module_of(frame), re.sub(r"<(listcomp|setcomp|dictcomp|genexpr)>\.(<locals>\.)?", "", code.co_qualname)


class Counter:
    """Counts the calls of the functions of ``packages``; modules at or under ``outside`` are not part of them."""

    def __init__(self, packages: list[str], outside: list[str]) -> None:
        """Count nothing yet."""
        self.packages, self.outside = packages, outside
        # Made and advanced in one step each, so that threads lose no count.
        self.calls: dict[str, itertools.count[int]] = collections.defaultdict(itertools.count)
        self.boundary: dict[str, itertools.count[int]] = collections.defaultdict(itertools.count)
        self.starters: dict[int, FrameType] = {}

    def holds(self, module: str) -> bool:
        """Say whether ``module`` is part of the packages."""
        parts = module.split(".")
        names = {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
        return not names.isdisjoint(self.packages) and names.isdisjoint(self.outside)

    def function(self, frame: FrameType) -> str | None:
        """Return the function that ``frame`` runs, or None where it is none of the packages."""
        name = name_of(frame)
        return ".".join(name) if name and self.holds(name[0]) else None

    def is_boundary(self, frame: FrameType) -> bool:
        """Say whether the nearest caller that is not a library's is outside the packages."""
        caller = frame.f_back
        while caller is not None:
            if self.holds(module_of(caller)):
                return False
            if not is_library(caller.f_code.co_filename):
                return True
            caller = caller.f_back or self.starters.get(threading.get_ident())
        return True

    def start(self, start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
        """Return ``Thread.start`` with a note of who calls it."""

        @functools.wraps(start)
        def noted(thread: threading.Thread) -> None:
            run, starter = thread.run, sys._getframe(1)

            def told() -> None:
                self.starters[threading.get_ident()] = starter
                run()

            thread.run = told  # type: ignore[method-assign]
            start(thread)

        return noted

    def profile(self, frame: FrameType, event: str, _argument: object) -> None:
        """Count one event of ``sys.setprofile``."""
        if event != "call" or not is_function(frame.f_code) or not starts(frame):
            return
        name = self.function(frame)
        if name is not None:
            next(self.calls[name])
            if self.is_boundary(frame):
                next(self.boundary[name])

    def report(self) -> dict[str, dict[str, int]]:
        """Return the counts, sorted by function."""
        return {
            "calls": {name: next(count) for name, count in sorted(self.calls.items())},
            "boundary": {name: next(count) for name, count in sorted(self.boundary.items())},
        }


def module_of(frame: FrameType) -> str:
    """Return the name of the module that a frame's code is of, also where it runs as the main program."""
    name = frame.f_globals.get("__name__", "")
    spec = frame.f_globals.get("__spec__") if name == "__main__" else None
    return str(spec.name if spec else name)


def run(program: list[str]) -> int:
    """Run ``-m module …`` or ``script …`` as Python would, and return its exit status."""
    module = program[0] == "-m"
    sys.argv = program[1:] if module else program
    sys.path[0] = "" if module else str(Path(program[0]).resolve().parent)
    try:
        if module:
            runpy.run_module(program[1], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(program[0], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main() -> int:
    """Count the calls of the program named on the command line and return its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("-p", "--package", action="append", required=True)
    parser.add_argument("--outside", action="append", default=[])
    parser.add_argument("program", nargs=argparse.REMAINDER, help="-- -m MODULE … or -- SCRIPT …")
    options = parser.parse_args()
    output = options.output.absolute()
    counter = Counter(options.package, options.outside)
    threading.Thread.start = counter.start(threading.Thread.start)  # type: ignore[assignment,method-assign]
    threading.setprofile(counter.profile)
    sys.setprofile(counter.profile)
    try:
        return run(options.program[1:] if options.program[0] == "--" else options.program)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        output.write_text(json.dumps(counter.report(), indent=1))


if __name__ == "__main__":
    sys.exit(main())
