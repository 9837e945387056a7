"""The calls in the traces of oras are all that its suite makes, as an independent count has it."""

import gzip
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from recorded import make_environment

from matrix.environment import site_packages
from matrix.recording import scratch, scratch_environment
from matrix.services import load_services
from matrix.subject import load_subject

ROOT = Path(__file__).parents[1]
RECORDED = "0.2.43"
# Runs the suite with what a recording sets in its process: where ghcr.io leads to, and the subject's presets.
RUN = """
import json, socket, sys, types
folder, redirects, presets = map(json.loads, sys.argv[1:4])
package = sys.modules["_caliper_agent"] = types.ModuleType("_caliper_agent")
package.__path__ = [folder]
from _caliper_agent.network import redirect
from _caliper_agent.presets import set_presets
redirect(socket, redirects)
set_presets({"presets": presets})
import pytest
sys.exit(pytest.main(sys.argv[4:]))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the recorded release with what its suite needs."""
    folder = tmp_path_factory.mktemp("counted")
    return make_environment(folder / "venv", "3.11", f"oras=={RECORDED}", "boto3", "docker==5.0.1", "pytest>=9")


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["anonymous", "auth"])
def test_each_function_was_called_as_often_as_is_counted_without_us(python: Path, profile: str) -> None:
    """Calls from outside and calls in all, of each function: none is missing in the committed traces, none added."""
    subject = load_subject("oras")
    with scratch() as folder, load_services(subject.services)(profile) as services:
        (folder / "run.py").write_text(RUN, encoding="utf-8")
        shutil.copytree(site_packages(python.parents[1]) / "oras/tests", folder / "work/oras/tests")
        presets = [[preset.after, preset.target, preset.value] for preset in subject.presets]
        facts = [json.dumps(fact) for fact in (str(ROOT / "matrix/agent"), dict(services.redirects), presets)]
        count = [
            str(ROOT / "tests/oracle.py"),
            "-o",
            str(folder / "counts.json"),
            "-p",
            "oras",
            "--outside",
            "oras.tests",
        ]
        subprocess.run(
            [str(python), *count, "--", str(folder / "run.py"), *facts, *subject.command[1:]],
            cwd=folder / "work",
            env={**scratch_environment(folder, python.parent), **services.env, **subject.profiles[profile].env},
            check=True,
            capture_output=True,
        )
        counted = json.loads((folder / "counts.json").read_bytes())
    with gzip.open(ROOT / f"traces/oras-{RECORDED}-{profile}.trace.jsonl.gz") as lines:
        recorded = json.loads(lines.read().splitlines()[-1])["counts"]
    assert {name: calls for name, (calls, _) in recorded.items()} == counted["calls"]
    assert {name: outside for name, (_, outside) in recorded.items() if outside} == counted["boundary"]
