"""Changing a package in one place, and what suite and replay say of it."""

import ast
import textwrap
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from suites import DEMO, stage

from matrix import installer
from matrix.baseline import Baseline, masks_path, write_baseline
from matrix.mutants import running as measured
from matrix.mutants import scores
from matrix.mutants.operators import OPERATORS
from matrix.mutants.replays import Replays
from matrix.mutants.running import Kept, Laboratory, Package, Trial, find_package, measure
from matrix.mutants.selection import Key, Unchanged, Where, where_felt
from matrix.mutants.sites import Site, choose, compiles, find_sites, mutate
from matrix.recording import record_subject
from matrix.suite.stage import Stage
from matrix.trace import read_trace

ALL = range(1, 1000)


def changes(source: str, operator: str) -> list[str]:
    """Return the sources that an operator makes of one, normalised."""
    text = textwrap.dedent(source)
    sites = [site for site in find_sites("a.py", text, ALL) if site.operator == operator]
    return [mutate(text, site).strip() for site in sites]


def normal(source: str) -> str:
    """Return a source as ast writes it."""
    return ast.unparse(ast.parse(textwrap.dedent(source)))


@pytest.mark.parametrize(
    ("operator", "source", "expected"),
    [
        ("negated-condition", "if a:\n    b()", ["if not a:\n    b()"]),
        ("negated-condition", "x = 1 if a else 2", ["x = 1 if not a else 2"]),
        ("swapped-comparison", "a == b", ["a != b"]),
        ("swapped-comparison", "a < b in c", ["a <= b in c", "a < b not in c"]),
        ("swapped-operator", "a and b", ["a or b"]),
        ("swapped-operator", "a + b", ["a - b"]),
        ("swapped-operator", "not a", ["a"]),
        ("swapped-operator", "a += 1", ["a -= 1"]),
        ("changed-constant", "f(1, True, 'a', b'', None)", [
            "f(2, True, 'a', b'', None)",
            "f(1, False, 'a', b'', None)",
            "f(1, True, 'ax', b'', None)",
            "f(1, True, 'a', b'x', None)",
        ]),
        ("dropped-statement", "a = 1\nf()\nraise b", [
            "pass\nf()\nraise b",
            "a = 1\npass\nraise b",
            "a = 1\nf()\npass",
        ]),
        ("return-none", "def f():\n    return 1", ["def f():\n    return None"]),
        ("return-none", "def f():\n    return None", []),
        ("renamed-parameter", "def f(self, a, *, b=1):\n    'doc'\n    return a", [
            "def f(self, a_renamed, *, b=1):\n    'doc'\n    a = a_renamed\n    return a",
            "def f(self, a, *, b_renamed=1):\n    'doc'\n    b = b_renamed\n    return a",
        ]),
        ("reordered-parameters", "def f(a, b, c=1, d=2):\n    pass", [
            "def f(b, a, c=1, d=2):\n    pass",
            "def f(a, b, d=2, c=1):\n    pass",
        ]),
        ("reordered-parameters", "def f(self, a, b=1):\n    pass", []),
        ("reordered-parameters", "def f(a=1, /, b=2, c=3):\n    pass", ["def f(a=1, /, c=3, b=2):\n    pass"]),
        ("changed-default", "def f(a=1, b=None):\n    pass", [
            "def f(a=2, b=None):\n    pass",
            "def f(a=1, b=False):\n    pass",
            "def f(a, b=None):\n    pass",
        ]),
        ("removed-definition", "class A:\n    def f(self):\n        pass", ["class A:\n    pass"]),
        ("removed-decorator", "@a\n@b\ndef f():\n    pass", ["@b\ndef f():\n    pass", "@a\ndef f():\n    pass"]),
        ("other-exception", "raise ValueError('a')", ["raise RuntimeError('a')"]),
        ("other-exception", "raise RuntimeError", ["raise LookupError()"]),
        ("other-handler", "try:\n    a()\nexcept KeyError as e:\n    b()", [
            "try:\n    a()\nexcept ZeroDivisionError as e:\n    b()",
        ]),
        ("dropped-keyword", "f(1, a=2, **b)", ["f(1, **b)", "f(1, a=2)"]),
        ("swapped-arguments", "f(1, 2, 3)", ["f(2, 1, 3)"]),
        ("swapped-arguments", "f(*a, 2)", []),
        ("made-sync", "async def f():\n    return await a(await b())", ["def f():\n    return a(b())"]),
        ("made-sync", "async def f():\n    async with a:\n        pass", []),
    ],
)  # fmt: skip
def test_each_operator_makes_its_changes(operator: str, source: str, expected: list[str]) -> None:
    """One change at a time, all that there are, in the order of the source."""
    assert changes(source, operator) == [normal(text) for text in expected]


def test_every_operator_is_tested() -> None:
    """The table above names all of them."""
    table = test_each_operator_makes_its_changes.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {row[0] for row in table} == set(OPERATORS)


def test_docstrings_and_annotations_stay() -> None:
    """What has no effect is not changed, nor is a default changed twice."""
    source = '''
        """Doc."""
        def f(a: "int" = 1) -> "str":
            """Doc."""
    '''
    assert changes(source, "changed-constant") == []
    assert changes(source, "dropped-statement") == []


def test_a_site_says_where_and_what() -> None:
    """File, line, function and the change itself, in one line."""
    source = "class A:\n    def f(self, a):\n        if a == 'b':\n            return 1\n"
    site = next(site for site in find_sites("p/a.py", source, ALL) if site.operator == "negated-condition")
    assert (site.file, site.line, site.function) == ("p/a.py", 3, "A.f")
    assert site.change == "if a == 'b': -> if not a == 'b':"
    assert site.name.startswith("p/a.py:3:negated-condition:")


def test_a_long_change_is_shown_from_its_first_difference() -> None:
    """A table stays readable."""
    source = f"def f({', '.join(f'parameter_{index}' for index in range(40))}):\n    pass\n"
    sites = [site for site in find_sites("a.py", source, ALL) if site.operator == "renamed-parameter"]
    assert all(len(site.change) <= 2 * 81 + 4 for site in sites)
    assert "parameter_30_renamed" in sites[30].change


def test_only_executed_lines_are_changed() -> None:
    """A definition counts as executed if its body is, not if it is only defined."""
    source = "def f(a):\n    return a + 1\n\ndef g(a):\n    return a + 1\n"
    assert {site.function for site in find_sites("a.py", source, [1, 2, 4])} == {"f"}


def test_what_does_not_compile_is_no_mutant() -> None:
    """Dropping what makes a file valid is not tried."""
    assert not compiles("return 1")
    source = "def f():\n    nonlocal_ = 1\n    def g():\n        nonlocal nonlocal_\n        return nonlocal_\n"
    chosen = choose({"a.py": source}, {"a.py": ALL}, 100, 1)
    assert chosen
    assert all(compiles(mutate(source, site)) for site in chosen)
    assert "nonlocal_ = 1 -> pass" not in {site.change for site in chosen}


def test_the_same_seed_chooses_the_same_sites() -> None:
    """Another seed chooses others."""
    sources, reached = {"demo.py": DEMO["1.2"]}, {"demo.py": ALL}
    assert choose(sources, reached, 8, 1) == choose(sources, reached, 8, 1)
    assert choose(sources, reached, 8, 1) != choose(sources, reached, 8, 2)


def test_sites_are_spread_over_operators_and_functions() -> None:
    """Each operator has its turn before one has a second, and no function is forgotten."""
    sources, reached = {"demo.py": DEMO["1.2"]}, {"demo.py": ALL}
    every = {site.operator for site in find_sites("demo.py", sources["demo.py"], ALL)}
    chosen = choose(sources, reached, len(every), 1)
    assert {site.operator for site in chosen} == every
    assert {site.function for site in chosen} >= {"double", "half", "unused"}


def test_a_changed_package_leaves_the_installed_one_alone(tmp_path: Path) -> None:
    """The other files are the same files, data included, and the folder goes away."""
    (tmp_path / "demo" / "__pycache__").mkdir(parents=True)
    (tmp_path / "demo" / "__pycache__" / "a.pyc").write_bytes(b"")
    for name, text in {"demo/__init__.py": "A = 1\n", "demo/data.txt": "data", "other.py": ""}.items():
        (tmp_path / name).write_text(text)
    package = Package.of(tmp_path, ["demo"])
    assert package.files == ("demo/__init__.py", "demo/data.txt")
    with package.copied("demo/__init__.py", "A = 2\n") as folder:
        assert (folder / "demo" / "__init__.py").read_text() == "A = 2\n"
        assert (folder / "demo" / "data.txt").samefile(tmp_path / "demo" / "data.txt")
    assert not folder.exists()
    assert (tmp_path / "demo" / "__init__.py").read_text() == "A = 1\n"


def test_a_package_may_be_a_single_file(tmp_path: Path) -> None:
    """A module without a folder is found as well; the suite is no source."""
    (tmp_path / "one.py").write_text("A = 1\n")
    assert Package.of(tmp_path, ["one"]).sources("") == {"one.py": "A = 1\n"}
    assert Package.of(tmp_path, ["one"]).sources("one.py") == {"one.py": "A = 1\n"}


def test_results_are_kept_by_what_they_came_from(tmp_path: Path) -> None:
    """A name is made once; other inputs make it again, and a broken file is none."""
    made: list[str] = []

    def make() -> Mapping[tuple[str, str], str]:
        made.append("made")
        return {("test[a]", "profile"): "passed"}

    kept = Kept(tmp_path, "inputs")
    assert kept.get("a", make) == kept.get("a", make) == {("test[a]", "profile"): "passed"}
    assert len(made) == 1
    Kept(tmp_path, "other inputs").get("a", make)
    for path in kept.folder.iterdir():
        path.write_text("[")
    kept.get("a", make)
    assert len(made) == 3


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Return the stage of the subject `demo`, with its index running."""
    with pytest.MonkeyPatch.context() as monkeypatch, stage(tmp_path_factory.mktemp("demo"), monkeypatch) as made:
        yield made


DATA, NAMES = "demo/tests/test_half.py::test_half", "demo/__init__.py"


def for_all(baseline: measured.Baseline) -> Unchanged:
    """Return what would be measured if what tests share executed all that is executed."""
    entered = frozenset(start for starts in baseline.suite.entered.values() for start in starts)
    shared = ("", "loud")
    return replace(baseline.suite, entered={shared: entered}, lines={shared: baseline.suite.reached()})


def test_mutants_are_judged_by_the_suite_and_the_replay(demo: Stage, tmp_path: Path) -> None:
    """Every mutant is tried with its package first on the path; what is wrong is counted and listed."""
    package = find_package(demo)
    baseline = measure(demo, package, ["loud"])
    assert len(baseline.passing) == 6
    sources = package.sources("demo/tests")
    assert list(sources) == [NAMES]
    chosen = choose(sources, baseline.suite.reached(), 12, 1)
    assert "unused" not in {site.function for site in chosen}

    def replay(overlay: Path, tests: Collection[Key]) -> Mapping[Key, str]:
        assert (overlay / NAMES).read_text() != sources[NAMES]
        return dict.fromkeys(tests, "works")

    told: list[int] = []
    kept = Kept(tmp_path / "suite", ""), Kept(tmp_path / "replay", "")
    works = replace(baseline.suite, outcomes=dict.fromkeys(baseline.passing, "works"))
    laboratory = Laboratory(demo, package, baseline, *kept, replay, works)
    trials = laboratory.try_all(chosen, 2, lambda done, _trial: told.append(done))
    assert told == list(range(1, 13))
    assert [trial.site for trial in trials] == chosen
    dropped = next(trial for trial in trials if trial.site.operator == "other-exception")
    assert [test for (test, _), outcome in dropped.truth.items() if outcome == "failed"] == [
        "demo/tests/test_half.py::test_exact"
    ]
    found = scores.score(trials, baseline.passing, 1)
    failing = sum(scores.failing(trial, baseline.passing) for trial in trials)
    assert found["false_works"]["numerator"] == failing > 0
    assert found["false_fails"]["numerator"] == found["detected"]["numerator"] == 0
    assert laboratory.try_all(chosen, 1, lambda *_: None) == trials
    everything = replace(baseline, suite=for_all(baseline))
    kept = Kept(tmp_path / "all", ""), Kept(tmp_path / "all", "replay")
    whole = Laboratory(demo, package, everything, *kept, replay, works).try_all(chosen, 2, lambda *_: None)
    assert [trial.truth for trial in whole] == [trial.truth for trial in trials]


def test_a_mutant_that_loops_is_given_up(demo: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not run after too many tests that loop is not replayed either, and no verdict."""
    monkeypatch.setattr(measured, "TEST_LIMIT", 0.2)
    monkeypatch.setattr(measured, "PATIENCE", 1)
    package = find_package(demo)
    source = package.sources("demo/tests")[NAMES].replace(
        "def half(value", "def half(value, *_, loop=True):\n    while loop:\n        pass\n\ndef other(value"
    )
    site = Site(NAMES, 1, 0, "changed-constant", 0, "half", "")
    baseline = measure(demo, package, ["loud"])
    asked: list[set[str]] = []

    def replay(_: Path, tests: Collection[Key]) -> Mapping[Key, str]:
        asked.append({test.partition("::")[2] for test, _ in tests})
        return dict.fromkeys(tests, "fails")

    kept = Kept(tmp_path / "suite", ""), Kept(tmp_path / "replay", "")
    laboratory = Laboratory(demo, package, baseline, *kept, replay, baseline.suite)
    tests = set(baseline.passing)
    trial = laboratory.try_one(site, source, (tests, tests))
    left = {test.partition("::")[2] for (test, _), outcome in trial.truth.items() if outcome == measured.NOT_RUN}
    assert left == {"test_size", "test_exact"}
    assert asked == [{"test_half", "test_double", "test_place", "test_profile"}]
    found = scores.score([trial], baseline.passing, 1)
    assert (found["killed"]["numerator"], found["left_out"]) == (1, 3)


def test_replays_judge_a_package_in_a_folder(demo: Stage, tmp_path: Path) -> None:
    """A recorded trace is replayed with the overlay first on the path: what it breaks fails, the rest works."""
    recorder = tmp_path / "recorder"
    installer.make_environment(recorder, demo.python)
    python = recorder / "bin" / "python"
    installer.install(["demo==1.2", "pytest"], python=python, as_of=demo.listed.as_of)
    subject = replace(demo.subject, command=("python", "-m", "pytest", "demo/tests"))
    out = tmp_path / "demo-1.2-loud.trace.jsonl.gz"
    assert record_subject(subject, "loud", str(python), out).status == 0
    trace = read_trace(out)
    write_baseline(masks_path(out), Baseline(trace.digest))
    replays = Replays.of(replace(demo, subject=subject), [out], ["loud"])
    assert not Replays.of(demo, [out], ["calm"]).traces
    package = find_package(demo)
    source = package.sources("demo/tests")[NAMES]
    unchanged = replays.unchanged(package.site)
    assert set(unchanged.outcomes.values()) == {"works"}
    with package.copied(NAMES, source) as overlay:
        assert replays.judge(overlay, unchanged.outcomes) == unchanged.outcomes
    with package.copied(NAMES, source.replace("raise ValueError", "raise KeyError")) as overlay:
        found = replays.judge(overlay, unchanged.outcomes)
        assert replays.judge(overlay, list(unchanged.outcomes)[:1]).keys() == set(list(unchanged.outcomes)[:1])
    assert {test for (test, _), verdict in found.items() if verdict == "fails"} == {
        "demo/tests/test_half.py::test_exact"
    }
    assert replays.inputs() == replays.inputs()


SOURCE = """
SIZE = 3

@plain(4)
def outer(a=SIZE):
    def inner():
        return a + 5
    return inner() * 6

class Kind:
    level = 7

    async def method(self):
        return 8
"""


@pytest.mark.parametrize(
    ("constant", "where"),
    [
        (3, None),
        (4, None),
        (5, Where("a.py", 6, range(7, 8))),
        (6, Where("a.py", 4, range(8, 9))),
        (7, None),
        (8, Where("a.py", 13, range(14, 15))),
    ],
)
def test_a_change_is_in_the_innermost_body(constant: int, where: Where | None) -> None:
    """A change in a body belongs to that function, from its first decorator on; any other to all that is imported."""
    sites = [site for site in find_sites("a.py", SOURCE, ALL) if site.operator == "changed-constant"]
    (site,) = (site for site in sites if site.change == f"{constant} -> {constant + 1}")
    assert where_felt(SOURCE, site) == where


def test_a_definition_that_is_gone_matters_to_all() -> None:
    """Who never calls it may look for it, or use what is in its place; parameters matter to who calls or looks."""
    sites = {site.operator: site for site in find_sites("a.py", SOURCE, ALL) if site.line in (4, 5)}
    assert where_felt(SOURCE, sites["removed-definition"]) is None
    assert where_felt(SOURCE, sites["removed-decorator"]) is None
    assert where_felt(SOURCE, sites["renamed-parameter"]) == Where("a.py", 4)


STATEMENTS = """
def outer(a):
    if (a == 1
            and a):
        b = f(1,
              a)
    for c in g(a):
        yield c
    try:
        h()
    except KeyError:
        a += 1
    return (lambda: a + 7)
"""


@pytest.mark.parametrize(
    ("operator", "line", "lines"),
    [
        ("negated-condition", 3, range(3, 5)),
        ("swapped-arguments", 5, range(5, 7)),
        ("changed-constant", 5, range(5, 7)),
        ("dropped-statement", 5, None),
        ("dropped-statement", 8, None),
        ("dropped-statement", 10, range(10, 11)),
        ("other-handler", 11, range(11, 12)),
        ("swapped-operator", 12, range(12, 13)),
        ("changed-constant", 13, range(13, 14)),
    ],
)
def test_a_change_is_felt_where_its_statement_is_executed(operator: str, line: int, lines: range | None) -> None:
    """A compound statement counts by its head; what makes another function of the whole counts for all of it."""
    sites = find_sites("a.py", STATEMENTS, ALL)
    site = next(site for site in sites if (site.operator, site.line) == (operator, line))
    assert where_felt(STATEMENTS, site) == Where("a.py", 2, lines)


def test_tests_that_a_change_matters_to() -> None:
    """These are the tests that execute the function, or the lines; all of a profile, if what they share does."""
    keys = [("one", "p"), ("two", "p"), ("one", "q")]
    start = ("a.py", 4)
    entered = {("one", "p"): frozenset([start]), ("", "q"): frozenset([start]), ("two", "p"): frozenset([("a.py", 5)])}
    lines = {("two", "p"): {"a.py": frozenset([7, 8])}, ("", "q"): {"b.py": frozenset([7])}}
    unchanged = Unchanged(dict.fromkeys(keys, "passed"), entered, lines)
    assert unchanged.affected(Where(*start)) == {("one", "p"), ("one", "q")}
    assert unchanged.affected(None) == set(keys)
    assert unchanged.affected(Where("b.py", 1)) == set()
    assert unchanged.affected(Where("a.py", 4, range(8, 10))) == {("two", "p")}
    assert unchanged.affected(Where("b.py", 4, range(7, 8))) == {("one", "q")}
    assert unchanged.reached() == {"a.py": {7, 8}, "b.py": {7}}


def trial(name: str, truth: str, replayed: str) -> Trial:
    """Return a trial of one test."""
    site = Site("a.py", 1, 1, name, 0, "f", "a -> b")
    return Trial(site, {("t", "p"): truth, ("never", "p"): "failed"}, {("t", "p"): replayed})


def test_scores_count_what_is_wrong_and_what_is_detected() -> None:
    """False works and false fails are told apart, by operator too; tests that never pass count nowhere."""
    trials = [
        trial("a", "passed", "works"),
        trial("b", "failed", "fails"),
        trial("c", "error", "works"),
        trial("d", "passed", "fails"),
        trial("e", "failed", "unknown"),
    ]
    found = scores.score(trials, {("t", "p")}, 7)
    counted = {name: (found[name]["numerator"], found[name]["denominator"]) for name in ("killed", "detected", "agree")}
    assert counted == {"killed": (3, 5), "detected": (1, 3), "agree": (2, 4)}
    assert found["undetected"] == ["a.py:1:c:1.0", "a.py:1:e:1.0"]
    assert [item["reason"] for item in found["disagreements"]] == ["f: a -> b", "f: a -> b"]
    assert found["operators"]["c"] == {"mutants": 1, "killed": 1, "false_works": 1, "false_fails": 0}
    assert found["operators"]["d"] == {"mutants": 1, "killed": 0, "false_works": 0, "false_fails": 1}


def test_the_table_has_a_row_a_mutant() -> None:
    """Sorted by place, with how many tests fail and are said to fail, and how many verdicts are wrong."""
    text = scores.render([trial("c", "error", "works"), trial("b", "failed", "fails")], {("t", "p")})
    header, *rows = text.splitlines()
    assert header == "mutant,file,line,function,operator,change,failing,said,false_works,false_fails"
    assert rows == ["a.py:1:b:1.0,a.py,1,f,b,a -> b,1,1,0,0", "a.py:1:c:1.0,a.py,1,f,c,a -> b,1,0,1,0"]
