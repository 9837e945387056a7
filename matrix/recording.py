"""Runs a command under the recorder, and makes a trace of what it wrote."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matrix import __version__
from matrix.agent.contents import held
from matrix.errors import CaliperError
from matrix.merging import merge
from matrix.releases import ReleaseList
from matrix.services import Control, Services, load_services
from matrix.subject import Subject
from matrix.trace import Event, write_trace

AGENT = Path(__file__).with_name("agent")
HOOK = "caliper_matrix_recorder.pth"
MEMORY = Path("/dev/shm")  # noqa: S108 # Linux has it; what is made there has a name of its own
ROOM = 4 << 30  # bytes: four times what one file of a release may take


class RecordingError(CaliperError):
    """A command that cannot be recorded."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What a recording gave: the command's exit status, and how much the trace holds.

    ``refusals`` are the connections to other machines that were refused, with what tried.
    """

    status: int
    calls: int
    functions: int
    tests: Mapping[str, str]
    troubles: Sequence[str]
    refusals: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Interpreter:
    """Facts about the Python that runs the command."""

    executable: str
    version: str
    site: Path
    prefix: str

    @staticmethod
    def ask(python: str) -> "Interpreter":
        """Return the facts, asked of the interpreter itself.

        Raises:
            RecordingError: it does not start.
        """
        facts = "[platform.python_version(), sysconfig.get_path('purelib'), sys.prefix]"
        code = f"import json, platform, sys, sysconfig; print(json.dumps({facts}))"
        command = [python, "-I", "-c", code]
        try:
            run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 # ours
            version, site, prefix = json.loads(run.stdout)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            message = f"{python}: this Python does not start ({reason}); name one with --python"
            raise RecordingError(message) from None
        return Interpreter(python, version, Path(site), prefix)

    def release(self, distribution: str) -> str:
        """Return the version of a distribution that is installed there, or "" where it is not."""
        code = "import importlib.metadata as m,sys;print(m.version(sys.argv[1]))"
        command = [self.executable, "-I", "-c", code, distribution]
        run = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 # ours
        return run.stdout.strip()


def in_memory(folder: Path = MEMORY) -> Path | None:
    """Return a file system in memory that has room and lets programs run, unless TMPDIR says where to work.

    A replay makes and removes a thousand small folders, and a disk with a journal takes 2 ms for each.
    """
    try:
        room = os.statvfs(folder)
    except OSError:
        return None
    usable = room.f_bavail * room.f_frsize >= ROOM and not room.f_flag & os.ST_NOEXEC
    return folder if usable and os.access(folder, os.W_OK) and "TMPDIR" not in os.environ else None


@contextlib.contextmanager
def scratch(inside: Path | None = None) -> Iterator[Path]:
    """Make a working folder with ``work``, ``home`` and ``tmp``, and remove it afterwards.

    It lies in a folder of its own, so that what is above the working directory has the same name everywhere; this one
    lies ``inside`` another, if that is given.
    """
    base = Path(tempfile.mkdtemp(prefix="caliper-", dir=inside)).resolve()
    folder = base / "scratch"
    try:
        for name in ("work", "home", "tmp"):
            (folder / name).mkdir(parents=True)
        yield folder
    finally:
        shutil.rmtree(base, ignore_errors=True)


@contextlib.contextmanager
def hooked(site: Path, config: Path) -> Iterator[None]:
    """Let every Python process of an environment start the recorder, for as long as the context lasts.

    A ``.pth`` file reaches console scripts, children, ``-I`` and ``-E`` and cleared environments alike. Whatever the
    program says about bytecode, the recorder's own is kept: to compile it takes longer than many a suite.
    """
    agent = f"{str(AGENT / '__init__.py')!r}, submodule_search_locations=[{str(AGENT)!r}]"
    loader = (
        "import importlib.util as u, sys\n"
        "no, sys.dont_write_bytecode = sys.dont_write_bytecode, False\n"
        f"s = u.spec_from_file_location('_caliper_agent', {agent})\n"
        "m = sys.modules.setdefault('_caliper_agent', u.module_from_spec(s))\n"
        "try:\n"
        "    import _caliper_agent.hook\n"
        f"    _caliper_agent.hook.start({str(config)!r})\n"
        "finally:\n"
        "    sys.dont_write_bytecode = no\n"
    )
    code = f"import sys; exec({loader!r}) if sys.version_info >= (3, 8) else None\n"
    path = site / HOOK
    try:
        path.write_text(code, encoding="utf-8")
    except OSError as error:
        message = f"{path}: the environment can't be recorded in: {error.strerror}; use a virtualenv of your own"
        raise RecordingError(message) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def record_subject(
    subject: Subject,
    profile: str,
    python: str,
    out: Path,
    command: Sequence[str] = (),
    *,
    network: bool = False,
    listed: ReleaseList | None = None,
    cache: Path | None = None,
) -> Recording:
    """Record a profile of a subject: its suite in a scratch folder, with its services around it.

    With ``network``, it may talk to other machines, which a replay may not. A suite that comes
    with the source archive is fetched as ``listed`` says, and kept in ``cache``.
    """
    from matrix.suite.source import find_suite  # noqa: PLC0415 # not needed to replay

    interpreter = Interpreter.ask(python)
    chosen = subject.profiles[profile]
    with scratch() as folder, load_services(subject.services, subject.options)(profile) as services:
        if subject.suite:
            release = listed.find(interpreter.release(subject.name)) if listed else None
            find_suite(subject, interpreter.site, release, cache or folder / "cache").copy(folder / "work")
        arguments = [*(command or subject.command), *(f"--deselect={test}" for test in chosen.deselect)]
        env = {
            **os.environ,
            **scratch_environment(folder, Path(python).parent),
            **services.env,
            **chosen.env,
        }
        job = Job(
            subject,
            profile,
            interpreter,
            arguments,
            folder,
            folder / "work",
            env,
            services,
            inner=subject.inner,
            network=network,
        )
        return job.record(out)


def scratch_environment(folder: Path, scripts: Path) -> dict[str, str]:
    """Return the variables that keep a program inside a scratch folder."""
    return {
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "PATH": f"{scripts}{os.pathsep}/usr/bin{os.pathsep}/bin",
        "SSL_CERT_FILE": os.devnull,  # the system's authorities are far away, and reading them takes 30 ms a connection
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "LANG": "C.UTF-8",
        "NO_COLOR": "1",
    }


def record_command(
    subject: Subject, python: str, out: Path, command: Sequence[str], *, network: bool = False
) -> Recording:
    """Record any command where it is, with the environment that it has; ``network`` as in `record_subject`."""
    interpreter = Interpreter.ask(python)
    with scratch() as folder:
        path = f"{Path(python).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        # Temporary files are part of what is recorded, so they lie where they are looked for.
        env = {**os.environ, "PATH": path, "TMPDIR": str(folder / "tmp")}
        env.pop("PYTEST_CURRENT_TEST", None)  # of a test that records
        services = Services()
        job = Job(subject, "default", interpreter, command, folder, Path.cwd(), env, services, network=network)
        return job.record(out)


@dataclass(frozen=True, slots=True)
class Job:
    """One recording; with ``sites`` each call tells the name that its caller spelled, which is no part of a trace."""

    subject: Subject
    profile: str
    interpreter: Interpreter
    command: Sequence[str]
    folder: Path
    cwd: Path
    env: Mapping[str, str]
    services: Services
    inner: bool = True
    network: bool = False
    sites: bool = False

    @property
    def refusals(self) -> Path:
        """Where it is noted which connections were refused."""
        return self.folder / "refusals"

    def record(self, out: Path) -> Recording:
        """Run the command under the recorder and write the trace."""
        release = self.interpreter.release(self.subject.name)
        raw = self.folder / "raw"
        raw.mkdir()
        with Control(self.services.services, self.folder) as control:
            config = self.configure(raw, control.address)
            with hooked(self.interpreter.site, config):
                status = self.run()
            config.unlink()
        lines = merge(raw)
        lines = [*contents(control.seen), *lines]
        header = {
            "subject": self.subject.name,
            "release": release,
            "python": self.interpreter.version,
            "profile": self.profile,
            "command": list(self.command),
            "modules": list(self.subject.modules),
            "suite": self.subject.suite,
            "tool": __version__,
        }
        calls = [line for line in lines if line.get("e") == "call"]
        if not calls:
            nothing = f"the command called nothing of {', '.join(self.subject.modules)} (it exited with {status})"
            message = f"{nothing}: no trace was written"
            raise RecordingError(message)
        write_trace(out, header, lines)
        end = lines[-1]
        troubles = [f"{line['what']} ({line['where']})" for line in lines if line.get("e") == "trouble"]
        refused = self.refusals.read_text(encoding="utf-8").splitlines() if self.refusals.exists() else []
        functions = {call["function"] for call in calls}
        return Recording(status, len(calls), len(functions), end["tests"], troubles, sorted(set(refused)))

    def configure(self, raw: Path, control: str) -> Path:
        """Write the recorder's configuration."""
        home, tmp = self.env.get("HOME", ""), self.env.get("TMPDIR", tempfile.gettempdir())
        roots = {"work": str(self.cwd), "home": str(self.folder / "home"), "tmp": str(self.folder / "tmp")}
        config: dict[str, Any] = {
            "modules": self.subject.modules,
            "suite_modules": [self.subject.suite.replace("/", ".")] if self.subject.suite else [],
            "suite_roots": [str(self.cwd)],
            "roots": roots,
            "templates": {
                "base": str(self.folder.parent),
                "root": str(self.folder),
                "work": str(self.cwd),
                "home": home,
                "tmp": tmp,
                "site": str(self.interpreter.site),
                "prefix": self.interpreter.prefix,
                "python": self.interpreter.version,
                **self.services.templates,
            },
            "presets": [[preset.after, preset.target, preset.value] for preset in self.subject.presets],
            "control": control,
            "redirects": dict(self.services.redirects),
            "allowed": list(self.services.allowed),
            "refusals": "" if self.network else str(self.refusals),
            "inner": self.inner,
            "loops": self.subject.loops,
            "sites": self.sites,
            "script": not any(Path(part).name in ("pytest", "py.test", "unittest") for part in self.command[:3]),
            "out": str(raw / "events"),
        }
        path = self.folder / "config.json"
        path.write_text(json.dumps(config), encoding="utf-8")
        return path

    def run(self) -> int:
        """Run the command, with this process's terminal, and return its exit status."""
        executable = shutil.which(self.command[0], path=self.env["PATH"])
        if executable is None:
            message = f"{self.command[0]}: no such command for {self.interpreter.executable}; is it installed there?"
            raise RecordingError(message)
        command = [executable, *self.command[1:]]
        with subprocess.Popen(command, cwd=self.cwd, env=dict(self.env)) as process:  # noqa: S603 # what was asked for
            while True:
                try:
                    return process.wait()
                except KeyboardInterrupt:
                    # The terminal sent it to the child as well: let it end by itself, and keep what it recorded.
                    process.send_signal(signal.SIGINT)


def contents(blobs: Mapping[str, bytes]) -> list[Event]:
    """Return the definitions of what services held."""
    return [{"def": "content", "id": name, **held(data)} for name, data in sorted(blobs.items())]


def default_python() -> str:
    """Return the Python that a command is recorded with unless another is named."""
    found = shutil.which("python3") or shutil.which("python")
    return found or sys.executable
