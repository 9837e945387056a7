"""The workflows hold what they promise, and their scripts do what the steps say, with real git and HTTP."""

import csv
import functools
import http.server
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
GITLAB = ROOT / "examples/gitlab/.gitlab-ci.yml"
CRONJOB = ROOT / "examples/kubernetes/cronjob.yaml"
FOLDERS = ("function", "tier", "profiles", "calls", "unreplayable")

each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def tool(name: str) -> str:
    """Return a tool of the test dependencies, beside this Python or on the path."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if found is None:
        pytest.skip(f"{name} is not installed (pip install {name})")
    return found


def load(path: Path) -> Any:  # noqa: ANN401 (YAML is anything)
    """Return the documents of a YAML file, one alone as itself."""
    yaml = pytest.importorskip("ruamel.yaml", reason="ruamel.yaml is not installed (check-jsonschema brings it)")
    documents = list(yaml.YAML(typ="safe", pure=True).load_all(path.read_text(encoding="utf-8")))
    return documents if len(documents) > 1 else documents[0]


def steps(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every step of a workflow with the name of its job."""
    for name, job in load(path)["jobs"].items():
        yield from ((name, step) for step in job["steps"])


@each_workflow
def test_a_workflow_is_one(path: Path) -> None:
    """GitHub's schema, as check-jsonschema ships it, accepts the file."""
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.github-workflows", str(path)]
    subprocess.run(command, check=True, timeout=60)


def test_the_gitlab_example_is_one() -> None:
    """GitLab's schema accepts the example."""
    command = [tool("check-jsonschema"), "--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci"]
    subprocess.run([*command, str(GITLAB)], check=True, timeout=60)


def test_zizmor_finds_nothing() -> None:
    """The strictest persona of zizmor has no finding, and none is silenced."""
    command = [tool("zizmor"), "--offline", "--persona=auditor", "--no-progress", str(ROOT / ".github")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert not any("zizmor: ignore" in path.read_text(encoding="utf-8") for path in WORKFLOWS)


@each_workflow
def test_actions_are_pinned_by_commit(path: Path) -> None:
    """Every action is a commit, with the version that it was in a comment; one commit for one action."""
    uses = re.findall(r"uses: (\S+)(.*)", path.read_text(encoding="utf-8"))
    assert uses
    for action, comment in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action)
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment)
    assert len({action.split("@")[0] for action, _ in uses}) == len({action for action, _ in uses})


@each_workflow
def test_a_step_is_one_command_or_a_file(path: Path) -> None:
    """What a step runs is one command; anything longer is a script of the repository."""
    for _, step in steps(path):
        command = step.get("run", "")
        assert "\n" not in command.strip()
        assert not re.search(r"&&|\|\||;|\||`|\$\(", command)
        for script in re.findall(r"scripts/\S+", command):
            assert (ROOT / script).is_file()


@each_workflow
def test_permissions_are_the_least(path: Path) -> None:
    """Nothing by default; only publishing, proposing and telling may write, each one thing and without the old code."""
    workflow = load(path)
    assert workflow["permissions"] == {}
    allowed = {"publish": {"packages"}, "propose": {"contents", "pull-requests"}, "alert": {"issues"}}
    for name, job in workflow["jobs"].items():
        writes = {scope for scope, access in job["permissions"].items() if access != "read"}
        assert writes == allowed.get(name, set())
        assert job["timeout-minutes"] <= 60


@each_workflow
def test_no_secret_is_in_a_fork_s_reach(path: Path) -> None:
    """No secret but the job's own token, which jobs that run old code or a fork's code do not get."""
    text = path.read_text(encoding="utf-8")
    assert "secrets." not in text
    assert "pull_request_target" not in text
    for job, step in steps(path):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False
        if "github.token" in str(step):
            assert job in {"publish", "propose", "alert"}


def test_every_session_that_is_run_exists() -> None:
    """The workflows and the example name sessions that the noxfile has."""
    texts = [path.read_text(encoding="utf-8") for path in (*WORKFLOWS, GITLAB)]
    named = {name for text in texts for name in re.findall(r'nox -s "?([\w-]+)', text)}
    nox = [sys.executable, "-m", "nox", "--noxfile", str(ROOT / "noxfile.py"), "--list"]
    listed = subprocess.run(nox, check=True, capture_output=True, text=True, timeout=60).stdout
    there = set(re.findall(r"^[-*] ([\w-]+)", listed, re.MULTILINE))
    assert {"matrix", "update", "truth", "publish", "lint", "image"} <= named
    assert {name.removesuffix("-") for name in named} <= there


def test_the_cron_job_is_as_hardened_as_the_command_line() -> None:
    """No network, read-only, no capabilities, no new privileges, unprivileged: as the documented docker run."""
    documents = {(document["kind"], document["metadata"]["name"]): document for document in load(CRONJOB)}
    policy = documents["NetworkPolicy", "caliper-matrix-isolated"]["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & policy.keys()
    for name in ("caliper-matrix", "caliper-matrix-publish"):
        template = documents["CronJob", name]["spec"]["jobTemplate"]["spec"]["template"]
        spec = template["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        isolated = template["metadata"]["labels"] == policy["podSelector"]["matchLabels"]
        assert isolated is (name == "caliper-matrix")


# -- the scripts


def run_script(name: str, *arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script as its step does, with nothing of GitHub's environment but what is given."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GITHUB_", "UV_", "PIP_"))}
    command = [sys.executable, str(ROOT / "scripts" / name), *arguments]
    return subprocess.run(
        command, cwd=cwd, env=kept | environment, check=False, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def index(tmp_path: Path) -> Iterator[str]:
    """Serve an index that has releases 0.1 and 0.2 of oras."""
    folder = tmp_path / "index/simple/oras"
    folder.mkdir(parents=True)
    links = [
        f'<a href="oras-{version}.tar.gz#sha256={"0" * 64}">oras-{version}.tar.gz</a>' for version in ("0.1", "0.2")
    ]
    (folder / "index.html").write_text(f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>", encoding="utf-8")
    for version in ("0.1", "0.2"):
        (folder / f"oras-{version}.tar.gz").write_bytes(b"x")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Stay silent."""

    handler = functools.partial(Handler, directory=str(tmp_path / "index"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/simple"
    server.shutdown()
    thread.join()
    server.server_close()


def releases(folder: Path, *versions: str) -> str:
    """Write a list of releases and return its path."""
    source = {"filename": "oras.tar.gz", "url": "http://127.0.0.1/oras.tar.gz", "sha256": "0" * 64, "size": 1}
    source |= {"packagetype": "sdist", "uploaded": "2021-01-01T00:00:00Z"}
    entries = [
        {"version": version, "uploaded": "2021-01-01T00:00:00Z", "yanked": False, "prerelease": False}
        | {"requires_python": None, "files": [source]}
        for version in versions
    ]
    path = folder / "oras.releases.json"
    content = {"format": 1, "subject": "oras", "as_of": "2021-02-01", "releases": entries}
    path.write_text(json.dumps(content), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("event", ["push", "workflow_dispatch"])
def test_what_is_asked_for_is_done(tmp_path: Path, event: str) -> None:
    """A push and a call by hand need no reason, and no index."""
    output = tmp_path / "output"
    done = run_script("new_release.py", "none.json", cwd=tmp_path, GITHUB_EVENT_NAME=event, GITHUB_OUTPUT=str(output))
    assert (done.returncode, output.read_text(encoding="utf-8")) == (0, "needed=true\n"), done.stderr


def needed(tmp_path: Path, index: str, day: str, *known: str) -> str:
    """Return what the check prints on ``day`` of a schedule."""
    done = run_script("new_release.py", releases(tmp_path, *known), day, cwd=tmp_path, UV_DEFAULT_INDEX=index)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_schedule_needs_a_reason(tmp_path: Path, index: str) -> None:
    """On a Tuesday only a release that is not listed is one; on a Monday none is needed."""
    assert needed(tmp_path, index, "2026-11-24", "0.1") == "new: 0.2\nneeded=true\n"
    assert needed(tmp_path, index, "2026-11-24", "0.1", "0.2") == "no new release\nneeded=false\n"
    assert needed(tmp_path, "http://127.0.0.1:1/simple", "2026-11-23", "0.1") == "weekly\nneeded=true\n"


def test_an_index_that_is_not_there_ends_the_check(tmp_path: Path) -> None:
    """No answer is no "no": the job fails with one line."""
    index = "http://127.0.0.1:1/simple"
    done = run_script("new_release.py", releases(tmp_path, "0.1"), "2026-11-24", cwd=tmp_path, UV_DEFAULT_INDEX=index)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_the_summary_shows_its_pictures(tmp_path: Path) -> None:
    """The job's summary is the results' one, with links that lead to the branch of the results."""
    (tmp_path / "results/oras").mkdir(parents=True)
    text = "# oras\n![matrix](heatmap.png) [all](matrix.csv) [docs](https://example.org/) [up](#oras)\n"
    (tmp_path / "results/oras/summary.md").write_text(text, encoding="utf-8")
    (tmp_path / "summary").write_text("before\n", encoding="utf-8")
    environment = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/r"}
    step = {"GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    assert run_script("job_summary.py", "results/oras", cwd=tmp_path, **environment, **step).returncode == 0
    place = "https://github.com/o/r/raw/matrix/results/results/oras"
    assert (tmp_path / "summary").read_text(encoding="utf-8") == (
        f"before\n# oras\n![matrix]({place}/heatmap.png) [all]({place}/matrix.csv)"
        " [docs](https://example.org/) [up](#oras)\n"
    )


def git(folder: Path, *arguments: str) -> str:
    """Run git in ``folder`` as nobody in particular."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True, timeout=30).stdout


def table(**verdicts: tuple[str, ...]) -> str:
    """Return a matrix.csv of functions ``a``, ``b``, … with the verdicts of each release (``r1`` is 1)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*FOLDERS, *(release.removeprefix("r") for release in verdicts)])
    for number, row in enumerate(zip(*verdicts.values(), strict=True)):
        writer.writerow(["abcdefgh"[number], "boundary", "anonymous", 1, 0, *row])
    return text.getvalue()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a clone with committed results, whose origin is a bare repository beside it."""
    folder = tmp_path / "checkout"
    git(tmp_path, "init", "--quiet", "--bare", "origin")
    git(tmp_path, "clone", "--quiet", "origin", "checkout")
    git(folder, "switch", "--quiet", "--create", "main")
    (folder / "results/oras").mkdir(parents=True)
    (folder / "traces").mkdir()
    (folder / "traces/oras.releases.json").write_text("{}", encoding="utf-8")
    (folder / "results/oras/matrix.csv").write_text(table(r1=("ok", "ok"), r2=("ok", "missing")), encoding="utf-8")
    (folder / "results/oras/summary.md").write_text("# summary\n", encoding="utf-8")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "results")
    git(folder, "push", "--quiet", "origin", "main")
    return folder


@pytest.fixture
def gh(tmp_path: Path) -> dict[str, str]:
    """Put a `gh` on the path that notes its arguments in ``calls`` and answers lists with the file ``listed``."""
    program = tmp_path / "bin/gh"
    program.parent.mkdir()
    program.write_text(
        "#!/bin/sh\n"
        f'for word in "$@"; do printf "%s\\0" "$word"; done >>"{tmp_path}/calls"; printf "\\n" >>"{tmp_path}/calls"\n'
        f'[ "$2" != list ] || cat "{tmp_path}/listed" 2>/dev/null || true\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}


def calls(tmp_path: Path) -> list[list[str]]:
    """Return what `gh` was asked, lists left out."""
    try:
        text = (tmp_path / "calls").read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    asked = [line.split("\0") for line in text.split("\0\n") if line]
    return [words for words in asked if words[1] != "list"]


def test_equal_results_are_not_proposed(checkout: Path, tmp_path: Path, gh: dict[str, str]) -> None:
    """Results that are as committed make no branch and no pull request."""
    done = run_script("propose.py", "results/oras", cwd=checkout, **gh)
    assert (done.returncode, done.stdout) == (0, "the results are as committed\n")
    assert calls(tmp_path) == []
    assert git(tmp_path / "origin", "branch", "--list", "matrix/*") == ""


def test_changed_results_are_proposed(checkout: Path, tmp_path: Path, gh: dict[str, str]) -> None:
    """Changed results, and nothing else, become a branch and a pull request; the next ones renew both."""
    (checkout / "results/oras/matrix.csv").write_text(table(r1=("ok", "ok"), r2=("ok", "ok")), encoding="utf-8")
    (checkout / "unrelated.txt").write_text("x", encoding="utf-8")
    done = run_script("propose.py", "results/oras", cwd=checkout, **gh)
    assert done.returncode == 0, done.stderr
    changed = git(tmp_path / "origin", "diff", "--name-only", "main", "matrix/results")
    assert changed == "results/oras/matrix.csv\n"
    assert [words[:2] for words in calls(tmp_path)] == [["auth", "setup-git"], ["pr", "create"]]
    git(checkout, "switch", "--quiet", "main")
    (checkout / "results/oras/matrix.csv").write_text(table(r1=("ok", "ok"), r2=("ok", "raised")), encoding="utf-8")
    (tmp_path / "listed").write_text("7\n", encoding="utf-8")
    assert run_script("propose.py", "results/oras", cwd=checkout, **gh).returncode == 0
    assert calls(tmp_path)[-1][:3] == ["pr", "edit", "7"]
    assert git(tmp_path / "origin", "rev-list", "--count", "main..matrix/results") == "1\n"


def test_a_release_that_turned_red_is_told_once(checkout: Path, tmp_path: Path, gh: dict[str, str]) -> None:
    """A function that worked in the committed results and does not now opens an issue, unless it is open."""
    verdicts = table(r1=("raised", "ok"), r2=("differs", "missing"))
    (checkout / "results/oras/matrix.csv").write_text(verdicts, encoding="utf-8")
    done = run_script("alert.py", "results/oras", cwd=checkout, **gh)
    assert done.returncode == 0, done.stderr
    (call,) = calls(tmp_path)
    assert call[:4] == ["issue", "create", "--title", "Release 1 turned red"]
    assert "`a`: ok → raised" in call[5]
    (tmp_path / "listed").write_text("Release 1 turned red\n", encoding="utf-8")
    assert run_script("alert.py", "results/oras", cwd=checkout, **gh).returncode == 0
    assert len(calls(tmp_path)) == 1


def test_a_new_release_is_compared_with_the_one_before(checkout: Path, tmp_path: Path, gh: dict[str, str]) -> None:
    """A release that was not there is red if it breaks what its predecessor does; unknown is not broken."""
    verdicts = table(r1=("ok", "ok"), r2=("ok", "missing"), r3=("unreplayable", "missing"), r4=("ok", "ok"))
    (checkout / "results/oras/matrix.csv").write_text(verdicts, encoding="utf-8")
    assert run_script("alert.py", "results/oras", cwd=checkout, **gh).returncode == 0
    assert calls(tmp_path) == []
    verdicts = table(r1=("ok", "ok"), r2=("ok", "missing"), r3=("crash", "missing"))
    (checkout / "results/oras/matrix.csv").write_text(verdicts, encoding="utf-8")
    assert run_script("alert.py", "results/oras", cwd=checkout, **gh).returncode == 0
    (call,) = calls(tmp_path)
    assert call[3] == "Release 3 turned red"


def test_first_results_are_no_news(checkout: Path, tmp_path: Path, gh: dict[str, str]) -> None:
    """Without committed results nothing has turned."""
    git(checkout, "rm", "--quiet", "--cached", "results/oras/matrix.csv")
    git(checkout, "commit", "--quiet", "-m", "none")
    done = run_script("alert.py", "results/oras", cwd=checkout, **gh)
    assert (done.returncode, done.stdout) == (0, "0 releases turned red\n"), done.stderr
    assert calls(tmp_path) == []


def test_scripts_that_need_packages_say_which() -> None:
    """A script that `uv run` starts lists what it imports from elsewhere; the others import nothing."""
    for path in WORKFLOWS:
        for _, step in steps(path):
            words = shlex.split(step.get("run", ""))
            script = next((word for word in words if word.startswith("scripts/")), None)
            if script is not None:
                declared = "# /// script" in (ROOT / script).read_text(encoding="utf-8")
                assert declared is (words[:2] == ["uv", "run"])
