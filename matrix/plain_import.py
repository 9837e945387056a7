"""Whether a release imports as its users install it: alone, with what it declares and nothing else."""

import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from subprocess import TimeoutExpired

from matrix.installer import normal
from matrix.processes import run_tied

YES = "yes"
TIMEOUT = 60  # seconds, for all modules

# Runs in the environment, on any Python from 3.8 on. A module of the subject's own that is not there is no answer:
# it came with a later release, and the map says so itself.
_CODE = """
import importlib, json, os, sys
answer = os.dup(1)
os.dup2(2, 1)
own, modules = json.loads(sys.argv[1])
told = "yes"
for module in modules:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or module).split(".")[0] not in own:
            told = "no: needs " + error.name.split(".")[0]
            break
    except BaseException as error:
        told = "no: %s: %s" % (type(error).__name__, error)
        break
os.write(answer, told.encode("utf-8", "replace"))
os._exit(0)
"""


def plain_import(python: Path, own: Sequence[str], modules: Iterable[str]) -> str:
    """Import modules in a release's environment; return ``yes``, or ``no: `` and what is missing, in one line.

    ``own`` are the top-level packages of the subject.
    """
    with tempfile.TemporaryDirectory(prefix="caliper-import-") as folder:
        environment = {"HOME": folder, "TMPDIR": folder, "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
        question = json.dumps([list(own), sorted(set(modules) | set(own))])
        try:
            done = run_tied(
                [python.absolute(), "-I", "-c", _CODE, question],
                cwd=Path(folder),
                env=environment,
                timeout=TIMEOUT,
            )
        except TimeoutExpired:
            return f"no: takes more than {TIMEOUT} s"
        except OSError as error:
            return f"no: its Python does not start ({error.strerror})"
    return normal(done.stdout) or f"no: the import ends the process (status {done.returncode})"
