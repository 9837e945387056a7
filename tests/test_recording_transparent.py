"""A program cannot see that it is recorded: bare and recorded, it prints the same and exits the same."""

import subprocess
from pathlib import Path
from typing import Protocol

import pytest
from recorded import VERSIONS, install_cases, make_environment, record


class Compare(Protocol):
    """Runs a program bare and recorded, compares, and returns what it printed."""

    def __call__(self, program: str, status: int = 0) -> str:
        """Expect an exit status."""


@pytest.fixture(scope="module", params=VERSIONS)
def python(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an environment's Python that has the fixture package."""
    made = make_environment(tmp_path_factory.mktemp("transparent") / "venv", request.param)
    install_cases(made)
    return made


@pytest.fixture
def same(python: Path, tmp_path: Path) -> Compare:
    """Return a function that runs a program bare and recorded, compares, and returns what it printed."""

    def compare(program: str, status: int = 0) -> str:
        (tmp_path / "program.py").write_text(f"from cases import plain, visible\n{program}", encoding="utf-8")
        env = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"}
        command = ["python", "program.py"]
        program_alone = [str(python), "program.py"]
        bare = subprocess.run(program_alone, cwd=tmp_path, capture_output=True, text=True, check=False, env=env)
        recorded = record(python, tmp_path / "trace.gz", ["cases"], command, tmp_path, **env)
        assert bare.returncode == status, bare.stderr
        assert (recorded.stdout, recorded.stderr, recorded.returncode) == (bare.stdout, bare.stderr, bare.returncode)
        return bare.stdout

    return compare


def test_locals(same: Compare) -> None:
    """No name is added to a function's locals."""
    assert same("print(visible.shape(1), visible.forgetful(1, 2), visible.evaluating(1))").startswith(
        "['a', 'b'] ['b']"
    )


def test_module_namespace(same: Compare) -> None:
    """No name is added to a module."""
    assert "shape" in same("print(plain.add(1, 2)); print(dir(visible), sorted(vars(plain)))")


def test_class_namespace(same: Compare) -> None:
    """No name is added to a class; private names and the cell of the class work."""
    program = """
made = visible.Mangled(3)
print(made.value(), sorted(vars(visible.Mangled)), visible.Mangled.value.__qualname__)
"""
    assert same(program).startswith("('Mangled', 3)")


def test_dataclass_namespace(same: Compare) -> None:
    """A generated constructor looks as the standard library made it."""
    program = """
import inspect
from cases import data
made = data.Point(1)
function = data.Point.__init__
print(made, sorted(vars(data.Point)), inspect.signature(data.Point), inspect.signature(function), function.__qualname__)
print(sorted(vars(function)), hasattr(function, "__wrapped__"), data.Pair(1, 2), inspect.signature(data.Pair))
"""
    assert same(program).startswith("Point(x=1, y=0, tags=[])")


def test_stacklevel(same: Compare) -> None:
    """A warning points at the line that it pointed at, at every level."""
    program = "import warnings\nwarnings.simplefilter('always')\nfor level in (1, 2, 3):\n    visible.warn(level)\n"
    same(program)


def test_stacklevel_of_generated(same: Compare) -> None:
    """A warning from below a generated constructor points at the caller all the same."""
    program = """
import dataclasses, warnings
from cases import data
def warn(self):
    warnings.warn("made", stacklevel=3)
data.Range.__post_init__ = warn
warnings.simplefilter("always")
data.Range(1, 2)
"""
    same(program)


def test_recursion_depth(same: Compare) -> None:
    """A recursion goes as deep as without the recorder, give or take a frame (on 3.11 built-in calls count as well)."""
    assert same("import sys\nsys.setrecursionlimit(300)\nprint((visible.depth() + 5) // 10)") == "30\n"


def test_recursion_limit(same: Compare) -> None:
    """The limit that the program reads is its own."""
    assert same("import sys; print(plain.add(1, 2), sys.getrecursionlimit())").startswith("3 ")


def test_frames(same: Compare) -> None:
    """No frame stands between a function and its caller, and lines are those of the source."""
    assert "callers" in same("def use():\n    return visible.callers()\nprint(use())")


def test_traceback_of_uncaught(same: Compare) -> None:
    """An uncaught exception prints the same traceback, marks included, and exits the same."""
    same("visible.outer('x')", status=1)


def test_traceback_of_lambda(same: Compare) -> None:
    """An exception in a lambda prints the same traceback."""
    same("visible.outer(0)", status=1)


def test_traceback_of_causes(same: Compare) -> None:
    """Causes and contexts of exceptions are the same."""
    program = """
import traceback
for function in (visible.reraised, visible.contextual):
    try:
        function()
    except Exception:
        print(traceback.format_exc())
print(visible.stack_of_exception())
"""
    assert "direct cause" in same(program)


def test_finally_that_returns(same: Compare) -> None:
    """A ``return`` in ``finally`` swallows the exception."""
    assert same("print(visible.swallowing())") == "swallowed\n"


def test_generators(same: Compare) -> None:
    """Generators end, return, close and complain as they do."""
    program = """
import inspect
made = visible.returning(); next(made)
try:
    made.send("sent")
except StopIteration as stop:
    print(stop.value)
log = []
made = visible.closing(log); next(made); made.close(); print(log)
made = visible.closing(log); next(made); del made; print(log)
try:
    list(visible.stops())
except RuntimeError as error:
    print(error, repr(error.__cause__))
made = visible.returning()
print(inspect.getgeneratorstate(made), made.gi_yieldfrom); next(made); print(inspect.getgeneratorlocals(made))
"""
    assert same(program).startswith("sent\n['GeneratorExit']\n")


def test_coroutines(same: Compare) -> None:
    """Coroutines run, and those never awaited are warned about."""
    program = """
import asyncio
async def use():
    return [await visible.waiting()] + [item async for item in visible.emitting()]
print(asyncio.run(use()))
visible.waiting()
"""
    assert same(program) == "[1, 1]\n"


def test_kinds_of_functions(same: Compare) -> None:
    """Introspection finds the kind, the signature, the source, the hints and the text of each function."""
    program = """
import inspect, typing
for name, function in sorted(vars(visible).items()):
    if inspect.isfunction(function):
        tests = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
        print(name, inspect.signature(function), [test(function) for test in tests], function.__doc__)
        print(function.__defaults__, function.__code__.co_varnames[:function.__code__.co_argcount])
        print(function.__code__.co_firstlineno, function.__code__.co_flags, len(inspect.getsource(function)))
print(typing.get_type_hints(visible.hinted), visible.hinted(1, "b", d=b""), visible.described())
"""
    assert "waiting () [True, False, False]" in same(program)


def test_closures_and_patterns(same: Compare) -> None:
    """Cells, pattern matching and named expressions work."""
    program = """
count = visible.counting(); count(); print(count(), count.__closure__[0].cell_contents)
print(visible.matching({"kind": "k", "x": 1}), visible.matching([1, 2, 3]), visible.matching(None))
"""
    assert same(program) == "2 2\n('k', {'x': 1}) (1, 2)\nNone\n".replace("\nNone", " None")


def test_doctest(same: Compare) -> None:
    """A doctest finds its examples and passes."""
    assert same("import doctest; print(doctest.testmod(visible))") == "TestResults(failed=0, attempted=1)\n"


def test_pickling(same: Compare) -> None:
    """Objects and functions are pickled by their names, and copied."""
    program = """
import copy, pickle
from cases import data, decorated, objects
things = [objects.Account("Ada", 1), data.Point(1), data.Pair(1, 2), data.Colour.RED, data.Size(3)]
print([vars(copy.deepcopy(things[0])), copy.copy(things[1])], pickle.loads(pickle.dumps(things))[1:])
print(pickle.dumps([things, plain.add, decorated.greet, objects.Account.open, visible.depth]))
"""
    assert "Point(x=1" in same(program)


def test_lifetime(same: Compare) -> None:
    """An object dies when its last reference goes, also one that raised or that was an argument."""
    program = """
import sys, weakref
from cases import data, objects
account = objects.Account("Ada"); account.deposit(1); objects.owner_of(account)
reference = weakref.ref(account); print(sys.getrefcount(account)); del account; print(reference())
try:
    data.check(3)
except data.CaseError as error:
    reference = weakref.ref(error)
print(reference())
class Mine:
    def __del__(self):
        print("gone")
plain.append_to([], Mine()); print("after")
"""
    assert same(program).endswith("None\nNone\ngone\nafter\n")


def test_methods_that_must_not_be_called(same: Compare) -> None:
    """The recorder asks no object for its text, equality, hash, truth, length or attributes."""
    program = """
from cases import objects
class Touchy(objects.Template):
    def complain(self, *_):
        print("touched")
        raise SystemExit(9)
    __repr__ = __str__ = __eq__ = __hash__ = __bool__ = __len__ = __iter__ = __getattr__ = __reduce__ = complain
    def step(self, value):
        return value
made = Touchy()
print(made.run(1), plain.defaults(made)[0] is made, plain.transform(lambda value: value is made, [made]))
"""
    assert same(program) == "2 True [True]\n"


def test_descriptors_are_not_asked(same: Compare) -> None:
    """The recorder computes no property of an object that it looks at."""
    program = """
class Lazy:
    @property
    def status_code(self):
        print("computed")
    headers = status_code
print(type(plain.defaults(Lazy())).__name__)
"""
    assert same(program) == "tuple\n"


def test_exit_status(same: Compare) -> None:
    """The exit status of the program is the command's."""
    same("print(plain.add(1, 2)); raise SystemExit(3)", status=3)


def test_exit_with_text(same: Compare) -> None:
    """A program that exits with a text prints it on its error stream."""
    same("plain.add(1, 2); raise SystemExit('sorry')", status=1)


def test_exit_at_once(same: Compare) -> None:
    """A program that skips all of its ends exits the same."""
    same("import os; print(plain.add(1, 2), flush=True); os._exit(4)", status=4)


def test_exit_handlers(same: Compare) -> None:
    """Handlers at exit run, and may still call the package."""
    assert same("import atexit; atexit.register(lambda: print(plain.add(1, 2))); plain.nothing()") == "3\n"


def test_threads(same: Compare) -> None:
    """Threads run, and the exception of one is printed as ever."""
    program = """
import threading
from cases import flow
print(flow.in_threads([2, 1]))
threads = [threading.Thread(target=plain.fail, args=("x",), name="worker")]
threading.excepthook = lambda args: print(args.exc_type.__name__, args.exc_value, args.thread.name)
for thread in threads: thread.start()
for thread in threads: thread.join()
"""
    assert same(program) == "[1, 2]\nValueError x worker\n"


def test_children(same: Compare) -> None:
    """Processes that the program starts or forks print the same."""
    program = """
import os, subprocess, sys
print(plain.add(1, 1), flush=True)
code = "from cases import plain; print(plain.add(2, 2))"
subprocess.run([sys.executable, "-c", code], check=True)
subprocess.run([sys.executable, "-I", "-c", code], check=True, env={})
child = os.fork()
if not child:
    print(plain.add(3, 3), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    assert same(program) == "2\n4\n4\n6\n"


def test_import_forms(same: Compare) -> None:
    """Modules are reloaded, run as programs and loaded by their specs as ever."""
    program = """
import importlib, importlib.util, runpy
print(importlib.reload(plain).counter, plain.__spec__.origin == plain.__file__)
print(plain.__cached__ == plain.__spec__.cached, isinstance(plain.__loader__, importlib.machinery.SourceFileLoader))
print(importlib.util.find_spec("cases.objects").origin.endswith("objects.py"))
print(sorted(runpy.run_module("cases.plain"))[:3], importlib.util.find_spec("cases.nothing"))
"""
    same(program)
