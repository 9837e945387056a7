"""What the recorder holds of functions, arguments and surroundings: a case of the fixture package each.

A line reads ``kind function(positional, name=keyword, [name=defaulted], ?name=unknown) on receiver -> value``; the
expectations are the language's, not what the recorder happens to do.
"""

from typing import Any

from recorded import Trace, outside


def test_plain_function(calls: list[str]) -> None:
    """A call holds each argument with the form that the caller gave it."""
    assert calls == ["function plain.add(1, b=2) -> 3"]


def test_plain_reexported(events: list[Any]) -> None:
    """The access path is the caller's, the function is where its definition stands."""
    (call,) = outside(events)
    assert (call["access"], call["function"]) == ({"path": "cases:add"}, "cases.plain.add")


def test_keyword_only(calls: list[str]) -> None:
    """A keyword-only argument is a keyword."""
    assert calls == ["function plain.keyword_only(3, scale=4) -> 12"]


def test_positional_only(calls: list[str]) -> None:
    """A positional-only parameter that was not given is defaulted."""
    assert calls == ["function plain.positional_only(3, [b=1]) -> 2"]


def test_varargs(calls: list[str]) -> None:
    """What lands in ``*rest`` and ``**options`` is an argument each."""
    assert calls == ['function plain.gather(1, 2, 3, x=4, y=5) -> [1, [2, 3], ["x", "y"]]']


def test_starred_call(calls: list[str]) -> None:
    """What stands behind a star is told by what its name holds; what is made on the spot hides how it was given."""
    assert calls == [
        'function plain.gather(1, 2, x=3) -> [1, [2], ["x"]]',
        'function plain.gather(?first=1, 2, x=3) -> [1, [2], ["x"]]',
    ]


def test_defaults(calls: list[str]) -> None:
    """A default that is skipped by a later keyword is defaulted."""
    assert calls == ["function plain.defaults(1, [b=10], c=3) -> (1, 10, 3)"]


def test_lambda(calls: list[str]) -> None:
    """A lambda is a function."""
    assert calls == ["function plain.<lambda>(4) -> 16"]


def test_closure(calls: list[str]) -> None:
    """A function that a call returned is reached as that call's result."""
    assert calls == [
        "function plain.make_adder(2) -> plain:make_adder.<locals>.adder",
        "function plain.make_adder.<locals>.adder(3) -> 5",
    ]


def test_closure_is_reached_as_a_result(cases: Trace) -> None:
    """The call of a closure refers to the call that made it."""
    made, called = outside(cases.tests["test_closure"])
    assert called["access"] == {"object": {"$ref": made["id"]}}


def test_nested_function(calls: list[str], cases: Trace) -> None:
    """A nested function that is called inside is counted, not a call from outside."""
    assert calls == ["function plain.total([1, 2, 3]) -> 6"]
    assert cases.counts["cases.plain.total.<locals>.step"] == 3


def test_comprehensions(calls: list[str], cases: Trace) -> None:
    """Comprehensions are not functions."""
    assert calls == ["function plain.comprehend([1, 2]) -> 6"]
    assert not [name for name in cases.counts if "comp>" in name or "genexpr" in name]


def test_lambda_in_comprehension(calls: list[str], cases: Trace) -> None:
    """A lambda in a comprehension has the same name on every Python."""
    assert calls == ["function plain.table([1, 2]) -> [2, 3]"]
    assert cases.counts["cases.plain.table.<locals>.<lambda>"] == 2


def test_recursion(calls: list[str], cases: Trace) -> None:
    """Only the outermost call of a recursion comes from outside."""
    assert calls == ["function plain.factorial(4) -> 24"]
    assert cases.counts["cases.plain.factorial"] == 4


def test_mutation(calls: list[str], events: list[Any]) -> None:
    """An argument is stored as it was at entry, and what became of it is an effect."""
    assert calls == ["function plain.append_to([1], 2) -> null"]
    (call,) = outside(events)
    assert call["effects"]["args"] == {"items": [1, 2]}


def test_callback(calls: list[str], events: list[Any]) -> None:
    """A function of the caller's is a stub that knows what it was asked and what it gave."""
    assert calls == ["function plain.transform($stub, [1, 2]) -> [2, 3]"]
    (call,) = outside(events)
    assert [(stub["values"], stub["outcome"]) for stub in call["stubs"]] == [
        ({"value": 1}, {"return": 2}),
        ({"value": 2}, {"return": 3}),
    ]


def test_callback_of_package(calls: list[str]) -> None:
    """A function of the package's that is passed in is a symbol, and called from inside."""
    assert calls == ["function plain.transform(plain:square, [1, 2]) -> [1, 4]"]


def test_through_c(calls: list[str]) -> None:
    """A call that a built-in makes is the caller's; in what form it passes arguments is not the caller's to say."""
    assert calls == ["function plain.<lambda>(?value=1) -> 1", "function plain.<lambda>(?value=2) -> 4"]


def test_through_c_with_default(calls: list[str]) -> None:
    """The arguments of the built-in are not taken for those of the function that it calls."""
    assert calls == ["function plain.rank(?value=1, ?weight=1) -> 1", "function plain.rank(?value=2, ?weight=1) -> 2"]


def test_raise_caught_inside(calls: list[str], cases: Trace) -> None:
    """An exception that never left the package is no outcome."""
    assert calls == ['function plain.recover("bad") -> "bad"']
    assert cases.counts["cases.plain.fail"] == 2


def test_raise_to_caller(calls: list[str], events: list[Any]) -> None:
    """An exception is an outcome, and that the caller was ready for it is known."""
    assert calls == ['function plain.fail("worse") raises builtins:ValueError["worse"]']
    (call,) = outside(events)
    assert call["expect"] == [{"match": "worse", "types": ["builtins:ValueError"]}]


def test_partial(calls: list[str], events: list[Any]) -> None:
    """A partial is called by its own name: what it adds the caller did not give."""
    assert calls == ["function plain.scale(2, [factor=3]) -> 6"]
    (call,) = outside(events)
    assert call["access"] == {"path": "cases.plain:triple"}


def test_lru_cache(calls: list[str]) -> None:
    """A call that a cache answers runs nothing."""
    assert calls == ["function plain.cached(1) -> 2"]


def test_singledispatch(calls: list[str]) -> None:
    """The implementation that was chosen is the function."""
    assert calls == [
        'function plain.describe(?value="text") -> "object"',
        'function plain.describe_number(?value=1) -> "number"',
    ]


def test_module_getattr(calls: list[str]) -> None:
    """A module's ``__getattr__`` is called by reading the attribute."""
    assert calls == ['function __getattr__(?name="lazy") -> "made lazy"']


def test_global_state(calls: list[str]) -> None:
    """Calls are in order: a later one sees what an earlier one did."""
    assert calls == ["function plain.count() -> 1", "function plain.count() -> 2"]


def test_monkeypatch(calls: list[str], events: list[Any]) -> None:
    """A patch of the package's attribute is an event before the call, its stand-in a stub; its undoing one as well."""
    assert calls == ["function plain.charge(2) -> 14"]
    kinds = [event["e"] for event in events if event["e"] in ("patch", "call")]
    assert kinds == ["patch", "call", "patch"]
    patch, undone = [event for event in events if event["e"] == "patch"]
    assert (patch["strict"], undone["undo"]) == (True, True)
    assert (patch["target"], patch["name"], list(patch["value"])) == ({"$symbol": "cases.plain:"}, "rate", ["$stub"])


def test_environment(calls: list[str], events: list[Any]) -> None:
    """A change of the environment is an event before the call."""
    assert calls == ['function plain.home() -> "/somewhere"']
    (env,) = [event for event in events if event["e"] == "env"]
    assert env["changes"]["CASES_HOME"] == "/somewhere"
    assert events.index(env) < next(index for index, event in enumerate(events) if event["e"] == "call")


def test_file_between_calls(calls: list[str], events: list[Any]) -> None:
    """What the caller wrote is an event before the call that can read it."""
    assert [line.rpartition(" ")[2] for line in calls] == ['"one"', '"two"']
    assert [event["e"] for event in events if event["e"] in ("files", "call")] == ["files", "call", "files", "call"]


def test_working_directory(calls: list[str], events: list[Any]) -> None:
    """A change of the working directory is an event before the call."""
    assert calls == ['function plain.read("here.txt") -> "here"']
    kinds = [event["e"] for event in events if event["e"] in ("cwd", "files", "call")]
    assert sorted(kinds[:-1]) == ["cwd", "files"]
    assert kinds[-1] == "call"


def test_no_result(calls: list[str]) -> None:
    """A function without a return gives None."""
    assert calls == ["function plain.nothing() -> null"]


def test_same_call_twice(calls: list[str]) -> None:
    """Equal calls from outside are events each: they stand in an order."""
    assert calls == ["function plain.add(2, 2) -> 4"] * 2


def test_does_not_bind(cases: Trace) -> None:
    """A call that does not bind runs nothing of the package."""
    assert cases.calls("test_does_not_bind") == []


def test_wraps(calls: list[str], cases: Trace) -> None:
    """A wrapper stands for what it wraps; both bodies are counted."""
    assert calls == ['function decorated.greet("Ada") -> "hello Ada"']
    assert cases.counts["cases.decorated.greet"] == 1
    assert cases.counts["cases.decorated.logged.<locals>.wrapper"] == 2


def test_decorated_without_wraps(calls: list[str], events: list[Any]) -> None:
    """A wrapper that hides what it wraps is the function, reached by the name that it took."""
    assert calls == ['function decorated.plainly.<locals>.inner("Ada") -> "bare Ada"']
    (call,) = outside(events)
    assert call["access"] == {"path": "cases.decorated:bare"}


def test_stacked_decorators(calls: list[str], cases: Trace) -> None:
    """Wrappers in wrappers lead to the innermost function."""
    assert calls == ['function decorated.stacked("a") -> ["a", "a"]']
    assert cases.counts["cases.decorated.stacked"] == 2


def test_marking_decorator(calls: list[str]) -> None:
    """A decorator that returns the function itself changes nothing."""
    assert calls == ['function decorated.labelled("a") -> "a"']
