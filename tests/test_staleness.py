"""What is judged again after a change: exactly what depends on it."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from matrix import staleness
from matrix.staleness import Plan, stale_releases

SUBJECT = 'name = "demo"\npython = "3.11"\nservices = "demo_services.py"\ncommand = ["pytest"]\n'
VERSIONS = ("1.0", "1.1", "2.0")


def release(version: str, **facts: bool) -> dict[str, object]:
    """Return an entry of the list."""
    files = [{"filename": f"demo-{version}.tar.gz", "sha256": version}]
    return {"version": version, "yanked": False, "prerelease": False, "files": files} | facts


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Return a plan of a subject with three releases that are judged and two that are not, and code of its own."""
    code = tmp_path / "matrix"
    shutil.copytree(staleness.PACKAGE, code, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(staleness, "PACKAGE", code)
    monkeypatch.setattr(staleness, "AGENT", code / "agent")
    subject = tmp_path / "demo.toml"
    subject.write_text(SUBJECT)
    subject.with_name("demo_services.py").write_text("")
    traces = tmp_path / "traces"
    traces.mkdir()
    for profile in ("one", "two"):
        (traces / f"demo-2.0-{profile}.trace.jsonl.gz").write_bytes(b"trace")
    (traces / "demo-2.0-one.masks.json").write_bytes(b"{}")
    (traces / "demo-extra-2.0-one.trace.jsonl.gz").write_bytes(b"of another subject")
    entries = [*map(release, VERSIONS), release("1.5", yanked=True), release("3.0rc1", prerelease=True)]
    (traces / "demo.releases.json").write_text(json.dumps({"as_of": "2026-01-01", "releases": entries}))
    facts = staleness.subject_facts(subject)
    return Plan(
        name=facts.name,
        subject=subject,
        releases=traces / "demo.releases.json",
        traces=staleness.traces_of(facts.name, traces),
        cache=tmp_path / "cache",
        results=tmp_path / "results",
        python=facts.python,
        services=facts.services,
    )


def judge(plan: Plan, version: str) -> None:
    """Leave what judging a release leaves."""
    staleness.file_digest.cache_clear()
    plan.run_file(version).parent.mkdir(parents=True, exist_ok=True)
    plan.run_file(version).write_text("outcomes")
    code = {f"agent/{path.name}": staleness.file_digest(path) for path in staleness.AGENT.glob("*.py")}
    facts = {"inputs": staleness.inputs(plan, version), "size": len("outcomes"), "code": code}
    staleness.write_stamp(plan.stamp(version), facts)


@pytest.fixture
def judged(plan: Plan) -> Plan:
    """Return the plan when all is judged."""
    for version in VERSIONS:
        judge(plan, version)
    return plan


def changed(plan: Plan) -> tuple[str, ...]:
    """Ask anew, as another process would."""
    staleness.file_digest.cache_clear()
    return stale_releases(plan)


def edited_list(plan: Plan, edit: Callable[[dict[str, object]], object]) -> None:
    """Change the list of releases."""
    document = json.loads(plan.releases.read_text())
    edit(document)
    plan.releases.write_text(json.dumps(document))


def test_all_is_stale_at_first_and_nothing_afterwards(plan: Plan) -> None:
    """Releases that are yanked or before a release are not judged; each judged one is done with once."""
    assert changed(plan) == VERSIONS
    judge(plan, "1.1")
    assert changed(plan) == ("1.0", "2.0")
    judge(plan, "1.0")
    judge(plan, "2.0")
    assert changed(plan) == ()


def test_one_byte_of_a_trace_makes_all_stale(judged: Plan) -> None:
    """A trace is replayed on each release."""
    judged.traces[0].write_bytes(b"tracf")
    assert changed(judged) == VERSIONS


def test_a_trace_of_another_subject_does_not_count(judged: Plan) -> None:
    """``demo-extra`` is not ``demo``."""
    assert [trace.name for trace in judged.traces] == [f"demo-2.0-{name}.trace.jsonl.gz" for name in ("one", "two")]
    judged.traces[0].with_name("demo-extra-2.0-one.trace.jsonl.gz").write_bytes(b"changed")
    assert changed(judged) == ()


def test_one_line_of_the_agent_makes_all_stale(judged: Plan) -> None:
    """Its code decides what a replay gives."""
    with (staleness.AGENT / "values.py").open("a") as file:
        file.write("# one line\n")
    assert changed(judged) == VERSIONS


def test_code_that_had_no_part_in_a_run_does_not_count(judged: Plan) -> None:
    """The heatmap does not judge."""
    (staleness.PACKAGE / "heatmap.py").write_text("")
    assert changed(judged) == ()


def test_the_hash_of_one_release_makes_that_one_stale(judged: Plan) -> None:
    """The other releases have nothing to do with it."""
    edited_list(judged, lambda document: document["releases"][1]["files"][0].update(sha256="other"))  # type: ignore[index]
    assert changed(judged) == ("1.1",)


def test_a_new_release_is_the_only_one_to_be_judged(judged: Plan) -> None:
    """What an update of the list adds."""
    edited_list(judged, lambda document: document["releases"].append(release("2.1")))  # type: ignore[attr-defined]
    assert changed(judged) == ("2.1",)


def test_another_day_makes_all_stale(judged: Plan) -> None:
    """With another ``as_of`` other dependencies are installed."""
    edited_list(judged, lambda document: document.update(as_of="2026-01-02"))
    assert changed(judged) == VERSIONS


@pytest.mark.parametrize("file", ["demo.toml", "demo_services.py"])
def test_the_subject_and_its_services_make_all_stale(judged: Plan, file: str) -> None:
    """They say how calls are replayed."""
    with judged.subject.with_name(file).open("a") as opened:
        opened.write("# changed\n")
    assert changed(judged) == VERSIONS


def test_another_python_makes_all_stale(judged: Plan) -> None:
    """A run is of one Python."""
    facts = {name: getattr(judged, name) for name in Plan.__slots__}
    assert changed(Plan(**facts | {"python": "3.12"})) == VERSIONS


def test_another_registry_makes_all_stale(judged: Plan) -> None:
    """A run is on one registry, whichever the services were told to use."""
    facts = {name: getattr(judged, name) for name in Plan.__slots__}
    assert changed(Plan(**facts | {"registry": "docker-registry"})) == VERSIONS


@pytest.mark.parametrize("harm", ["", "half", None])
def test_a_run_that_is_gone_or_cut_off_is_stale(judged: Plan, harm: str | None) -> None:
    """A stamp alone is no result."""
    if harm is None:
        judged.run_file("1.1").unlink()
    else:
        judged.run_file("1.1").write_text(harm)
    assert changed(judged) == ("1.1",)


@pytest.mark.parametrize("content", ["", "[]", '{"inputs": 1}', "{"])
def test_a_stamp_that_is_broken_is_none(judged: Plan, content: str) -> None:
    """It never ends the noxfile."""
    judged.stamp("2.0").write_text(content)
    assert changed(judged) == ("2.0",)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"as_of": 1, "releases": [{}]}'])
def test_a_broken_list_has_no_releases(plan: Plan, content: str) -> None:
    """The noxfile loads all the same: ``nox -s update`` has to run."""
    plan.releases.write_text(content)
    assert changed(plan) == ()
    plan.releases.unlink()
    assert changed(plan) == ()


def test_code_that_changed_while_it_ran_is_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that were written after the process began to load them get a digest that no file has."""
    monkeypatch.setattr(staleness, "BEGAN", time.time() + 60)
    used = staleness.code_used()
    assert {"staleness.py", "agent/values.py"} <= set(used)
    assert "changed" not in used.values()
    monkeypatch.setattr(staleness, "BEGAN", 0.0)
    assert set(staleness.code_used().values()) == {"changed"}


def test_results_are_stale_until_they_are_written(judged: Plan) -> None:
    """They are those of the runs, the list and the code; a file that was removed or edited is written again."""
    assert staleness.results_stale(judged)
    judged.results.mkdir()
    (judged.results / "matrix.csv").write_text("a")
    staleness.stamp_results(judged, staleness.results_inputs(judged))
    assert not staleness.results_stale(judged)
    (judged.results / "matrix.csv").write_text("ab")
    assert staleness.results_stale(judged)
    staleness.stamp_results(judged, staleness.results_inputs(judged))
    (judged.results / "matrix.csv").unlink()
    assert staleness.results_stale(judged)


def test_code_that_draws_makes_results_stale(judged: Plan) -> None:
    """The heatmap's code changes pictures, and no run."""
    judged.results.mkdir()
    staleness.stamp_results(judged, staleness.results_inputs(judged))
    (staleness.PACKAGE / "heatmap.py").write_text("")
    staleness.file_digest.cache_clear()
    assert staleness.results_stale(judged)
    assert changed(judged) == ()


def test_masks_make_results_stale_and_no_run(judged: Plan) -> None:
    """A field more that is noise changes verdicts, not what was replayed."""
    judged.results.mkdir()
    staleness.stamp_results(judged, staleness.results_inputs(judged))
    staleness.masks_of(judged.traces[0]).write_bytes(b'{"1": []}')
    assert changed(judged) == ()
    assert staleness.results_stale(judged)


@pytest.mark.parametrize(
    ("content", "problem"),
    [("", "the key 'name' is missing"), ("= 3", "cannot be read as a subject"), (None, "No such")],
)
def test_a_subject_that_cannot_be_read_is_named_in_one_line(tmp_path: Path, content: str | None, problem: str) -> None:
    """Which file, and why."""
    path = tmp_path / "demo.toml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=problem) as raised:
        staleness.subject_facts(path)
    assert str(raised.value).startswith(f"{path}: ")
