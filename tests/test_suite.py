"""Running a suite's files in an environment, test by test."""

import os
import socket
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from matrix.services import Control, Service
from matrix.suite.folder import copy_suite, tolerate_imports
from matrix.suite.server import Answer, Job, SuiteError, SuiteServer, kill_all

Run = Callable[..., Answer]


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for compiled modules: pytest need not be compiled for each test."""
    return tmp_path_factory.mktemp("bytecode")


@pytest.fixture
def server(tmp_path: Path, bytecode: Path) -> Iterator[SuiteServer]:
    """Start a server in this Python, with the folder `packages` on its path."""
    (tmp_path / "packages").mkdir()
    path = [tmp_path / "packages"]
    with SuiteServer(Path(sys.executable), path, bytecode=bytecode, subject=["package"]) as running:
        yield running


@pytest.fixture
def run(server: SuiteServer, tmp_path: Path) -> Run:
    """Return a function that runs test files, given by name and source."""
    (tmp_path / "work").mkdir()

    def run_files(files: dict[str, str], **details: Any) -> Answer:  # noqa: ANN401 # fields of the job
        for name, source in files.items():
            (tmp_path / "work" / name).write_text(textwrap.dedent(source))
        environment = {"HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PATH": os.defpath}
        return server.run(Job(str(tmp_path / "work"), environment, list(files), **details))

    return run_files


def package(tmp_path: Path, source: str, folder: str = "packages") -> None:
    """Write the module `package`."""
    (tmp_path / folder).mkdir(exist_ok=True)
    (tmp_path / folder / "package.py").write_text(textwrap.dedent(source))


def outcomes(answer: Answer) -> dict[str, str]:
    """Return the outcomes by a test's name alone."""
    return {test.partition("::")[2]: outcome for test, (outcome, _) in answer.outcomes.items()}


def test_a_failed_part_fails_the_test(run: Run) -> None:
    """A test of which a part failed has failed, although what comes after it passes."""
    answer = run(
        {
            "test_a.py": """
            import unittest
            class Test(unittest.TestCase):
                def test_parts(self):
                    for number in (1, 2):
                        with self.subTest(number=number):
                            self.assertEqual(number, 2)
                def test_all(self):
                    with self.subTest(number=1):
                        self.assertEqual(1, 1)
            """
        }
    )
    assert outcomes(answer) == {"Test::test_parts": "failed", "Test::test_all": "passed"}


def test_each_outcome_has_its_name(run: Run) -> None:
    """Tests that pass, fail, break in a fixture, are skipped or expected to fail are told apart."""
    answer = run(
        {
            "test_a.py": """
            import pytest
            @pytest.fixture
            def broken(): raise ValueError
            @pytest.fixture
            def late():
                yield
                raise ValueError
            def test_passes(): pass
            def test_fails(): assert 1 == 2
            def test_breaks(broken): pass
            def test_breaks_late(late): pass
            def test_is_skipped(): pytest.skip("no reason")
            @pytest.mark.xfail
            def test_expected(): assert False
            @pytest.mark.xfail
            def test_unexpected(): pass
            """
        }
    )
    assert outcomes(answer) == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_breaks": "error",
        "test_breaks_late": "error",
        "test_is_skipped": "skipped",
        "test_expected": "xfailed",
        "test_unexpected": "xpassed",
    }
    assert answer.outcomes["test_a.py::test_fails"][1] == "assert 1 == 2"
    assert len(answer.collected) == 7


@pytest.mark.parametrize("together", [False, True])
def test_an_import_error_stays_in_its_file(run: Run, *, together: bool) -> None:
    """The other files run, and the reason is told."""
    files = {"test_a.py": "import nowhere\ndef test_a(): pass", "test_b.py": "def test_b(): pass"}
    answer = run(files, together=together)
    assert outcomes(answer) == {"test_b": "passed"}
    assert answer.uncollected == {"test_a.py": "ModuleNotFoundError: No module named 'nowhere'"}


@pytest.mark.parametrize("together", [False, True])
def test_a_crash_costs_one_test(run: Run, *, together: bool) -> None:
    """The test that kills the process has failed; the ones after it run in another."""
    crash = "import os, signal\ndef test_a(): pass\ndef test_b(): os.kill(os.getpid(), 9)\ndef test_c(): pass"
    answer = run({"test_a.py": crash, "test_d.py": "def test_d(): pass"}, together=together)
    assert outcomes(answer) == {"test_a": "passed", "test_b": "failed", "test_c": "passed", "test_d": "passed"}
    assert "the process died" in answer.outcomes["test_a.py::test_b"][1]


def test_a_loop_is_ended(run: Run) -> None:
    """A test that uses more CPU than its limit has failed, even if it catches exceptions; the next one runs."""
    loop = """
        def test_a():
            while True:
                try:
                    sum(range(1000))
                except Exception:
                    pass
        def test_b(): pass
    """
    answer = run({"test_a.py": loop}, test_limit=0.2)
    assert outcomes(answer) == {"test_a": "failed", "test_b": "passed"}
    assert "took longer than" in answer.outcomes["test_a.py::test_a"][1]


def test_a_file_that_hangs_is_killed(run: Run) -> None:
    """A test that can't be interrupted is ended by the file's limit, with what it started; the next one runs."""
    hang = """
        import signal, threading
        def test_a():
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGPROF])
            threading.Event().wait()
        def test_b(): pass
    """
    answer = run({"test_a.py": hang}, limit=2.0)
    assert outcomes(answer) == {"test_a": "failed", "test_b": "passed"}


def test_sleep_is_virtual(run: Run) -> None:
    """Ten minutes pass at once, on all clocks of `time`; a short sleep is real, a wrong one an error."""
    began = time.monotonic()
    answer = run(
        {
            "test_a.py": """
            import time, pytest
            @pytest.mark.parametrize("clock", ["time", "monotonic", "perf_counter"])
            def test_clock(clock):
                before, nanoseconds = getattr(time, clock)(), getattr(time, clock + "_ns")()
                time.sleep(600)
                assert 600 <= getattr(time, clock)() - before < 601
                assert 600e9 <= getattr(time, clock + "_ns")() - nanoseconds < 601e9
            def test_short():
                before = time.thread_time()
                time.sleep(0.01)
            def test_wrong():
                with pytest.raises(ValueError): time.sleep(-1)
                with pytest.raises(TypeError): time.sleep("1")
            """
        }
    )
    assert set(outcomes(answer).values()) == {"passed"}
    assert time.monotonic() - began < 60


def test_presets_are_set_where_the_attribute_is(run: Run, tmp_path: Path) -> None:
    """A preset waits for its module, may reach into another one, and adds nothing."""
    package(tmp_path, "SIZE = 1\nTAKEN = SIZE\nclass Limits:\n    most = 2\n")
    answer = run(
        {"test_a.py": "import package, json\ndef test_a(): assert (package.SIZE, package.Limits.most) == (9, 8)\n"
         "def test_b(): assert not hasattr(package, 'OTHER') and package.TAKEN == 1\n"},
        presets=[
            ("package", "package:SIZE", 9),
            ("package", "package:Limits.most", 8),
            ("package", "package:OTHER", 1),
            ("package", "nowhere:SIZE", 1),
        ],
    )  # fmt: skip
    assert set(outcomes(answer).values()) == {"passed"}


def test_too_many_late_tests_end_the_run(run: Run) -> None:
    """After as many that are late, or end the process, no test is run any more, and the answer says so."""
    loop = """
        def test_a():
            while True: pass
        def test_b(): pass
        def test_c():
            while True: pass
        def test_d(): pass
    """
    answer = run({"test_a.py": loop}, test_limit=0.2, patience=2)
    assert (outcomes(answer), answer.stopped) == ({"test_a": "failed", "test_b": "passed", "test_c": "failed"}, True)
    answer = run({"test_a.py": loop}, test_limit=0.2, patience=3)
    assert (len(answer.outcomes), answer.stopped) == (4, False)
    died = "import os\ndef test_a(): os._exit(1)\ndef test_b(): pass\n"
    answer = run({"test_a.py": died}, patience=1)
    assert (outcomes(answer), answer.stopped) == ({"test_a": "failed"}, True)


def test_an_overlay_comes_first(run: Run, tmp_path: Path) -> None:
    """A package in the overlay hides the installed one, for one job."""
    package(tmp_path, "NAME = 'installed'\n")
    package(tmp_path, "NAME = 'overlay'\n", "overlay")
    files = {"test_a.py": "import package\ndef test_a(): assert package.NAME == 'installed'"}
    assert outcomes(run(files)) == {"test_a": "passed"}
    assert outcomes(run(files, overlay=str(tmp_path / "overlay"))) == {"test_a": "failed"}
    assert outcomes(run(files)) == {"test_a": "passed"}


def test_the_path_holds_nothing_of_ours(run: Run) -> None:
    """Neither our folder nor the working directory is importable, and the environment is the job's."""
    answer = run(
        {
            "test_a.py": """
            import os, sys
            def test_a():
                assert not any(path.endswith("matrix/suite") for path in sys.path)
                assert set(os.environ) >= {"HOME", "TMPDIR", "PATH"} and "VIRTUAL_ENV" not in os.environ
            """
        }
    )
    assert outcomes(answer) == {"test_a": "passed"}


def test_executed_lines_are_reported(run: Run, tmp_path: Path) -> None:
    """Lines that run at import, in functions and in threads are there, test by test; no others, of no other file."""
    package(tmp_path, "def a(x):\n    if x:\n        return 1\n    return 2\n\ndef b():\n    return 3\n")
    source = """
        import threading, package
        def test_a():
            thread = threading.Thread(target=package.b)
            thread.start()
            thread.join()
            package.a(0)
        def test_b():
            assert package.b.__code__.co_argcount == 0
    """
    folder = str(tmp_path / "packages")
    answer = run({"test_a.py": source}, reach=[folder])
    names = {test: test.rpartition("::")[2] for test in ("", *answer.outcomes)}
    reached = {names[test]: {Path(file).name: lines for file, lines in answer.reached[test].items()} for test in
               answer.reached}  # fmt: skip
    assert reached == {"": {"package.py": (1, 6)}, "test_a": {"package.py": (2, 4, 7)}}
    assert "package" in answer.modules
    entered = {names[test]: [line for _, line in starts] for test, starts in answer.entered.items()}
    assert entered == {"": [1], "test_a": [1, 6], "test_b": [6]}


def test_what_pytest_stands_on_is_imported_anew_from_an_overlay(run: Run, tmp_path: Path) -> None:
    """A fault in a module that pytest needs is seen by the tests alone: pytest keeps the one that it has."""
    (tmp_path / "overlay" / "iniconfig").mkdir(parents=True)
    (tmp_path / "overlay" / "iniconfig" / "__init__.py").write_text("PLANTED = 1\n")
    files = {"test_a.py": "import iniconfig\ndef test_a(): assert iniconfig.PLANTED\n", "pytest.ini": "[pytest]\n"}
    planted = {"overlay": str(tmp_path / "overlay"), "subject": ["iniconfig"]}
    assert outcomes(run(files, **planted)) == {"test_a": "passed"}
    assert outcomes(run(files)) == {"test_a": "failed"}


def test_modules_are_imported_beforehand(tmp_path: Path, bytecode: Path) -> None:
    """What is warm is loaded once; a warm module that would load the subject is left to the tests."""
    (tmp_path / "work").mkdir()
    package(tmp_path, "import os\nPID = os.getpid()\n")
    (tmp_path / "packages" / "helper.py").write_text("import os\nPID = os.getpid()\n")
    (tmp_path / "packages" / "plugin.py").write_text("import package\n")
    for name in ("a", "b"):
        text = f"import os, helper, package\ndef test_{name}(): assert package.PID == os.getpid() != helper.PID\n"
        (tmp_path / "work" / f"test_{name}.py").write_text(text)
    for warm, expected in ((["helper", "nowhere"], "passed"), (["helper", "plugin"], "failed")):
        path = [tmp_path / "packages"]
        with SuiteServer(Path(sys.executable), path, bytecode=bytecode, subject=["package"], warm=warm) as server:
            job = Job(str(tmp_path / "work"), {"PATH": os.defpath}, ["test_a.py", "test_b.py"])
            assert set(outcomes(server.run(job)).values()) == {expected}


def test_a_python_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    """The message names it and what is wrong."""
    with pytest.raises(SuiteError, match=r"can't be run by .*nowhere: No such file or directory"):
        SuiteServer(tmp_path / "nowhere", [], bytecode=tmp_path)


def test_a_python_without_pytest_is_an_error(tmp_path: Path) -> None:
    """The message has the last words of the process."""
    bare = Path(sys.base_prefix) / "bin" / "python3"
    with (
        SuiteServer(bare, [], bytecode=tmp_path / "bytecode") as server,
        pytest.raises(SuiteError, match="No module named 'pytest'"),
    ):
        server.run(Job(str(tmp_path), {}, ["test_a.py"]))


def test_servers_can_be_ended_from_another_thread(run: Run, tmp_path: Path) -> None:
    """Whoever waits for an answer gets an error at once, and no process is left."""
    os.mkfifo(tmp_path / "pid")
    started: list[int] = []

    def end() -> None:
        started.append(int((tmp_path / "pid").read_text()))
        kill_all()

    thread = threading.Thread(target=end)
    thread.start()
    hang = """
        import os, threading
        def test_a():
            open("../pid", "w").write(str(os.getpid()))
            threading.Event().wait()
    """
    with pytest.raises(SuiteError):
        run({"test_a.py": hang})
    thread.join()
    deadline = time.monotonic() + 5
    while alive(started[0]) and time.monotonic() < deadline:
        os.sched_yield()
    assert not alive(started[0])


def alive(process: int) -> bool:
    """Tell whether a process runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_connections_stay_on_this_machine(run: Run) -> None:
    """A name of a service leads to loopback, every other name and address is refused."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        source = f"""
            import pytest, socket
            def test_redirected():
                with socket.create_connection(("registry.example", 443), 5) as link:
                    assert link.getpeername() == ("127.0.0.1", {port})
            def test_refused():
                with pytest.raises(OSError): socket.create_connection(("other.example", 443), 5)
                with pytest.raises(OSError): socket.create_connection(("192.0.2.1", 443), 5)
        """
        answer = run({"test_a.py": source}, redirects={"registry.example:443": f"127.0.0.1:{port}"})
    assert outcomes(answer) == {"test_redirected": "passed", "test_refused": "passed"}


class Counter(Service):
    """A service whose state is a number, which tests raise by connecting to nothing but a file."""

    def __init__(self, path: Path) -> None:
        """Keep the number in a file."""
        self.path = path

    def generation(self) -> int:
        """Return the number."""
        return int(self.path.read_text())

    def snapshot(self) -> object:
        """Return the number as the state."""
        return {"count": self.generation()}

    def contents(self, state: object) -> dict[str, bytes]:  # noqa: ARG002
        """Return nothing: the state is all."""
        return {}

    def restore(self, state: Any, contents: dict[str, bytes]) -> None:  # noqa: ANN401, ARG002
        """Set the number."""
        self.path.write_text(str(state["count"]))


RAISES = """
    from pathlib import Path
    def count(amount):
        path = Path("../count")
        path.write_text(str(int(path.read_text()) + amount))
        return int(path.read_text())
    def test_a(): assert count(STEP) == 1
    def test_b(): assert count(1) == 2
"""


def test_each_test_begins_with_the_state_that_it_had(run: Run, tmp_path: Path) -> None:
    """States are read before each test of one run, and set before each test of another: a failure stays its own."""
    (tmp_path / "count").write_text("0")
    counter = Counter(tmp_path / "count")
    with Control({"counter": counter}, tmp_path) as control:
        asked = {"control": control.address, "services": ["counter"]}
        first = run({"test_a.py": RAISES.replace("STEP", "1")}, **asked)
        assert list(first.states.values()) == [{"counter": {"count": 0}}, {"counter": {"count": 1}}]
        second = run({"test_a.py": RAISES.replace("STEP", "5")}, **asked, states=first.states)
    assert outcomes(second) == {"test_a": "failed", "test_b": "passed"}


def test_services_that_do_not_answer_are_no_result(run: Run, tmp_path: Path) -> None:
    """The run is an error of ours, not a failure of tests."""
    (tmp_path / "count").write_text("0")
    with Control({"counter": Counter(tmp_path / "count")}, tmp_path) as control:
        asked = {"control": control.address, "services": ["counter"], "states": {"test_a.py::test_a": {"other": 1}}}
        with pytest.raises(SuiteError, match="the services could not be asked or set"):
            run({"test_a.py": RAISES}, **asked)


TOLERANT = '''
"""A docstring."""
from __future__ import annotations
import json, nowhere
import nowhere.deeper as deeper
from json import (
    dumps,
    nothing as other,
)
from os.path import *
import sys; import nowhere2

def test_a(): assert dumps(1) == "1" and sys and join
'''


def test_imports_that_fail_become_placeholders(run: Run) -> None:
    """Each name is tried by itself: what is there works, what is not raises when used, past `except Exception`."""
    uses = """
        def test_b():
            import pytest
            with pytest.raises(Exception):
                other()
        def test_c(): nowhere.function()
        def test_d(): deeper.name
        def test_e(): assert nowhere
    """
    source = TOLERANT.replace("import sys; import nowhere2", "import sys") + textwrap.dedent(uses)
    answer = run({"test_a.py": tolerate_imports(source)}, tolerant=True)
    assert outcomes(answer) == {
        "test_a": "passed",
        "test_b": "failed",
        "test_c": "failed",
        "test_d": "failed",
        "test_e": "failed",
    }
    assert answer.outcomes["test_a.py::test_c"][1].endswith("MissingImportError: nowhere: No module named 'nowhere'")


def test_only_whole_lines_are_rewritten() -> None:
    """A statement that shares its line stays as it is, and so does what comes from the future."""
    lines = tolerate_imports(TOLERANT).splitlines()
    assert "import sys; import nowhere2" in lines
    assert "from __future__ import annotations" in lines
    assert lines.index("from __future__ import annotations") == 2


def test_imports_inside_of_functions_and_blocks_stay() -> None:
    """What a file handles itself is left to it."""
    source = "try:\n    import nowhere\nexcept ImportError:\n    nowhere = None\n\ndef f():\n    import nowhere\n"
    assert tolerate_imports(source) == source


def test_a_suite_is_copied_without_compiled_files(tmp_path: Path) -> None:
    """Data comes along, caches do not; Python files are rewritten only for the tolerant run."""
    source = tmp_path / "source"
    (source / "__pycache__").mkdir(parents=True)
    (source / "__pycache__" / "a.pyc").write_bytes(b"")
    (source / "data.bin").write_bytes(b"\x00")
    (source / "test_a.py").write_text("import nowhere\n")
    copy_suite(source, tmp_path / "plain")
    copy_suite(source, tmp_path / "tolerant", tolerant=True)
    assert sorted(path.name for path in (tmp_path / "plain").iterdir()) == ["data.bin", "test_a.py"]
    assert (tmp_path / "plain" / "test_a.py").read_text() == "import nowhere\n"
    assert (tmp_path / "tolerant" / "test_a.py").read_text().startswith("try:\n    import nowhere\n")
