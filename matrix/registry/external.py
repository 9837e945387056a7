"""The registry of the CNCF (Debian's `docker-registry`), started on a free port of this machine in a fresh folder."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from matrix.errors import CaliperError
from matrix.processes import die_with_parent
from matrix.registry import certificates
from matrix.registry.folder import Folder
from matrix.registry.lifetime import Startable
from matrix.registry.store import Snapshot

PROGRAM = "docker-registry"
PATIENCE = 10.0  # seconds that it may take to answer; it takes 0.02
# What seals the address of an upload: the same in each run, so that one that was recorded is good in a restored state.
SECRET = "caliper-matrix"  # noqa: S105 - it protects nothing but that
# Debian's own file has a password, a cache that outlives a wiped folder, and listens everywhere; so it gets this one.
_LISTENING = re.compile(r"listening on [^\s\"]*:(\d+)")
_CONFIGURATION = "version: 0.1\nstorage: {filesystem: {}}\nhttp: {}\n"


class MissingRegistryError(CaliperError):
    """There is no such program, or it does not come up."""

    def __init__(self, program: str, problem: str) -> None:
        """Say what to do."""
        advice = "install it (Debian: apt-get install docker-registry) or use the embedded one"
        super().__init__(f"{program}: {problem}; {advice}")
        self.program = program


class DockerRegistry(Startable):
    """The same small interface as `Registry`: start and stop, host and port, snapshot and restore, blobs."""

    def __init__(self, *, program: str = PROGRAM, htpasswd: Path | None = None, tls: bool = False) -> None:
        """Nothing is started before `start`; ``htpasswd`` turns on basic authentication."""
        self.host = "127.0.0.1"
        self.port = 0
        self.ca_file: Path | None = None
        self._program = program
        self._htpasswd = htpasswd
        self._tls = tls
        self._stack = ExitStack()
        self._generation = 0
        self._fingerprint = ""

    @property
    def address(self) -> str:
        """Host and port, as in the name of an image."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._tls else 'http'}://{self.address}"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def start(self) -> Self:
        """Start it; requests are answered when this returns.

        Raises:
            MissingRegistryError: not installed, or it does not answer.
        """
        program = shutil.which(self._program)
        if program is None:
            raise MissingRegistryError(self._program, "not found")
        with ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="caliper-docker-registry-")))
            self._content = Folder(self._storage)
            (self._folder / "config.yml").write_text(_CONFIGURATION)
            self._process = subprocess.Popen(  # noqa: S603 - the program that was asked for
                [program, "serve", str(self._folder / "config.yml")],
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stack.enter_context((self._folder / "log").open("wb")),
                preexec_fn=die_with_parent,  # noqa: PLW1509 # one system call: nothing that another thread could hold
            )
            stack.callback(self._end)
            self.port = self._wait()
            self._stack = stack.pop_all()
        return self

    def stop(self) -> None:
        """End it and remove its folder; more than once does no harm."""
        self._stack.close()

    @property
    def generation(self) -> int:
        """A number that grows whenever the state changed since it was asked for last."""
        fingerprint = self._content.fingerprint()
        if fingerprint != self._fingerprint:
            self._fingerprint = fingerprint
            self._generation += 1
        return self._generation

    def snapshot(self) -> Snapshot:
        """Return the state, as the embedded registry does."""
        snapshot: Snapshot = {"generation": self.generation, "repositories": self._content.snapshot()}
        if uploads := self._content.uploads():
            snapshot["uploads"] = uploads
        return snapshot

    def restore(self, snapshot: Snapshot) -> None:
        """Be as in the snapshot, which may come from the embedded registry, if `add_blob` gave its content first."""
        self._content.restore(snapshot["repositories"], snapshot.get("uploads", {}))

    def read_blob(self, digest: str) -> bytes:
        """Return content, be it a blob or a manifest; an `UnknownContentError` if there is none."""
        return self._content.read(digest)

    def add_blob(self, data: bytes, algorithm: str = "sha256") -> str:
        """Put content into its folder, without any repository holding it, and return its digest."""
        return self._content.add(data, algorithm)

    @property
    def _storage(self) -> Path:
        return self._folder / "storage"

    def _environment(self) -> dict[str, str]:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "REGISTRY_HTTP_ADDR": f"{self.host}:0",
            "REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY": str(self._storage),
            "REGISTRY_STORAGE_DELETE_ENABLED": "true",
            "REGISTRY_LOG_ACCESSLOG_DISABLED": "true",
            "REGISTRY_HTTP_SECRET": SECRET,
        }
        if self._htpasswd is not None:
            environment["REGISTRY_AUTH_HTPASSWD_REALM"] = "registry"
            environment["REGISTRY_AUTH_HTPASSWD_PATH"] = str(self._htpasswd.resolve())
        if self._tls:
            files = certificates.issue(self._folder, (self.host, "localhost"))
            self.ca_file = files.authority
            environment["REGISTRY_HTTP_TLS_CERTIFICATE"] = str(files.certificate)
            environment["REGISTRY_HTTP_TLS_KEY"] = str(files.key)
        return environment

    def _wait(self) -> int:
        deadline = time.monotonic() + PATIENCE
        while True:
            ended = self._process.poll() is not None
            log = (self._folder / "log").read_text(errors="replace")
            if found := _LISTENING.search(log):
                return int(found[1])
            if ended or time.monotonic() > deadline:
                last = log.strip().splitlines()[-1:] or ["no message"]
                raise MissingRegistryError(self._program, f"did not come up ({last[0]})")
            time.sleep(0.002)

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
