"""The referee of the recorder is right by itself: its counts are those that a reader of the fixture package expects."""

from pathlib import Path

from recorded import VERSIONS, count, make_environment

PLAIN = {
    "<lambda>": 5,  # once by name, twice as a callback, twice through map
    "add": 4,
    "append_to": 1,
    "cached": 1,  # the second call is the cache's
    "charge": 1,
    "comprehend": 1,
    "count": 2,
    "defaults": 1,
    "describe": 1,
    "describe_number": 1,
    "factorial": 4,
    "fail": 2,
    "gather": 3,
    "home": 1,
    "keyword_only": 1,
    "make_adder": 1,
    "make_adder.<locals>.adder": 1,
    "nothing": 1,
    "positional_only": 1,
    "rank": 2,
    "read": 3,
    "recover": 1,
    "scale": 1,
    "table": 1,
    "table.<locals>.<lambda>": 2,
    "total": 1,
    "total.<locals>.step": 3,
    "transform": 2,
}
DECORATED = {
    "bare": 1,
    "greet": 1,
    "labelled": 1,
    "logged": 2,
    "logged.<locals>.wrapper": 2,
    "marked": 1,
    "plainly": 1,
    "plainly.<locals>.inner": 1,
    "repeat": 1,
    "repeat.<locals>.decorate": 1,
    "repeat.<locals>.decorate.<locals>.repeated": 1,
    "stacked": 2,
}
OBJECTS = {
    "Account.__bonus": 2,
    "Account.__init__": 19,
    "Account.close": 1,
    "Account.deposit": 7,
    "Account.digest": 1,
    "Account.label": 2,  # read and set
    "Account.open": 1,
    "Account.total": 2,
    "Account.valid": 2,
    "Bare.hello": 1,
    "Dynamic.__getattr__": 1,
    "Interned.__new__": 2,
    "Savings.deposit": 1,
    "Shelf.__add__": 1,
    "Shelf.__call__": 1,
    "Shelf.__contains__": 1,
    "Shelf.__enter__": 2,
    "Shelf.__eq__": 1,
    "Shelf.__exit__": 2,
    "Shelf.__getitem__": 1,
    "Shelf.__hash__": 1,
    "Shelf.__init__": 4,
    "Shelf.__iter__": 1,
    "Shelf.__len__": 2,  # once by len, once by list as a hint
    "Shelf.__repr__": 1,
    "Shelf.__setitem__": 1,
    "Tag.loud": 1,
    "Template.run": 1,  # its step is the caller's
    "members": 1,
    "owner_of": 2,
}
DATA = {
    "CaseError.__init__": 1,
    "Colour.shout": 1,
    "Pair.__new__": 1,
    "Point.__init__": 2,
    "Point.norm": 1,
    "Range.__init__": 2,
    "Range.__post_init__": 2,
    "Size.__new__": 1,
    "Size.area": 1,
    "check": 1,
    "check_plain": 1,
    "explain": 1,
}
FLOW = {
    "AsyncResource.__aenter__": 1,
    "AsyncResource.__aexit__": 1,
    "collect": 1,
    "delegate": 1,
    "dialogue": 1,
    "fetch": 3,
    "forgiving": 1,
    "gather": 1,
    "in_threads": 1,
    "numbers": 3,  # the one that is never started is none
    "opened": 1,
    "ticks": 1,
    "work": 4,
}
EXPECTED = {
    f"cases.{module}.{name}": number
    for module, functions in (
        ("plain", PLAIN),
        ("decorated", DECORATED),
        ("objects", OBJECTS),
        ("data", DATA),
        ("flow", FLOW),
    )
    for name, number in functions.items()
}
# What is called inside only.
INNER = {
    "data.CaseError.__init__",
    "data.Range.__post_init__",
    "decorated.bare",
    "decorated.greet",
    "decorated.logged",
    "decorated.marked",
    "decorated.plainly",
    "decorated.repeat",
    "decorated.repeat.<locals>.decorate",
    "decorated.repeat.<locals>.decorate.<locals>.repeated",
    "decorated.stacked",
    "flow.ticks",
    "objects.Account.__bonus",
    "plain.table.<locals>.<lambda>",
    "plain.total.<locals>.step",
}
# What is called from inside too: so often from outside.
BOTH = {
    "flow.numbers": 2,
    "flow.work": 1,
    "objects.Account.__init__": 15,
    "objects.Account.deposit": 6,
    "objects.Shelf.__init__": 3,
    "plain.<lambda>": 3,
    "plain.factorial": 1,
    "plain.fail": 1,
}


def without_probing(counts: dict[str, int]) -> dict[str, int]:
    """Leave out the module's ``__getattr__``, which Python's own import machinery asks for submodules."""
    return {name: number for name, number in counts.items() if name != "cases.__getattr__"}


def test_calls(counts: dict[str, dict[str, int]]) -> None:
    """Every function was called as often as the suite says, on every Python."""
    assert without_probing(counts["calls"]) == EXPECTED


def test_calls_from_outside(counts: dict[str, dict[str, int]]) -> None:
    """A call is one from outside unless the package made it, itself or through a library."""
    expected = {
        name: BOTH.get(name.removeprefix("cases."), number)
        for name, number in EXPECTED.items()
        if name.removeprefix("cases.") not in INNER
    }
    assert without_probing(counts["boundary"]) == expected


def test_exit_status_and_output_are_the_programs(tmp_path: Path) -> None:
    """The program that is counted runs to its own end, in threads as well."""
    (tmp_path / "counted.py").write_text("def call():\n    pass\n", encoding="utf-8")
    (tmp_path / "program.py").write_text(
        "import counted, threading\n"
        "run = lambda: [counted.call() for _ in range(1000)]\n"
        "threads = [threading.Thread(target=run) for _ in range(4)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n",
        encoding="utf-8",
    )
    python = make_environment(tmp_path / "venv", VERSIONS[0])
    counts = count(python, tmp_path / "counts.json", "counted", ["program.py"], tmp_path)
    assert counts == {"calls": {"counted.call": 4000}, "boundary": {"counted.call": 4000}}
