"""What the recorder holds of objects, generators, coroutines and threads: a case of the fixture package each.

The lines read as in ``test_recording.py``; ``#1`` is the result of the test's first call.
"""

from typing import Any

from recorded import Trace, outside

ADA = '<objects:Account balance=0 owner="Ada">'
MAKE_ADA = f'constructor objects.Account.__init__("Ada", [balance=0]) -> {ADA}'


def test_constructor(calls: list[str]) -> None:
    """A constructor gives the object, with its state."""
    assert calls == [
        'constructor objects.Account.__init__("Ada", balance=3) -> <objects:Account balance=3 owner="Ada">'
    ]


def test_inherited_constructor(calls: list[str], events: list[Any]) -> None:
    """The function is the class's that defines the constructor, the access path the class's that was called."""
    assert calls == [MAKE_ADA.replace("<objects:Account", "<objects:Savings")]
    (call,) = outside(events)
    assert call["access"] == {"path": "cases.objects:Savings"}


def test_no_constructor(calls: list[str]) -> None:
    """An object of a class without a constructor can be referred to."""
    assert calls[-1] == 'method objects.Bare.hello() on #1 -> "hello"'


def test_method(calls: list[str]) -> None:
    """A method's receiver is a reference, and not an argument."""
    assert calls == [MAKE_ADA, "method objects.Account.deposit(2) on #1 -> #1"]


def test_inherited_method(calls: list[str]) -> None:
    """An inherited method is the function of the class that defines it."""
    assert calls[1:] == ["method objects.Account.total() on #1 -> 1"]


def test_overridden_method(calls: list[str]) -> None:
    """What an overriding method asks of ``super()`` comes from inside."""
    assert calls[1:] == ["method objects.Savings.deposit(2) on #1 -> 3"]


def test_chaining(calls: list[str]) -> None:
    """A method that returns its object gives a reference."""
    assert calls[1:] == [
        "method objects.Account.deposit(1) on #1 -> #1",
        "method objects.Account.deposit(2) on #1 -> #1",
    ]


def test_classmethod(calls: list[str]) -> None:
    """The receiver of a class method is the class that it was called on."""
    made = '<objects:Savings balance=5 owner="Ada">'
    assert calls == [f'classmethod objects.Account.open("Ada") on objects:Savings -> {made}']


def test_staticmethod(calls: list[str]) -> None:
    """A static method has no receiver, called on a class or on an object."""
    assert calls == [
        'staticmethod objects.Account.valid("Ada") -> true',
        MAKE_ADA,
        'staticmethod objects.Account.valid("") -> false',
    ]


def test_property(calls: list[str], events: list[Any]) -> None:
    """Reading and setting a property are calls."""
    assert calls[1:] == [
        'property objects.Account.label() on #1 -> "Ada!"',
        'property objects.Account.label(?value="Bob") on #1 -> null',
    ]
    parts = [event["access"].get("part") for event in outside(events)]
    assert parts[1:] == [None, "fset"]


def test_cached_property(calls: list[str]) -> None:
    """A cached property is called once."""
    assert calls[1:] == ["property objects.Account.digest() on #1 -> 3"]


def test_cached_property_is_no_patch(cases: Trace) -> None:
    """What a cached property stores on its object is not the caller's change."""
    patches = [event["name"] for event in cases.lines if event.get("e") == "patch"]
    assert patches == ["rate", "rate"]


def test_private_method(calls: list[str], cases: Trace) -> None:
    """A private method is called inside, and named as it is written."""
    assert calls[1:] == ["method objects.Account.total() on #1 -> 2"]
    assert cases.counts["cases.objects.Account.__bonus"] == 2


def test_method_via_class(calls: list[str]) -> None:
    """The object that a function of a class is given is its receiver."""
    assert calls[1:] == ["method objects.Account.deposit(4) on #1 -> #1"]


def test_method_via_class_defaulted(calls: list[str]) -> None:
    """The object that is given is not counted as the first argument."""
    assert calls[1:] == ['method objects.Account.close([reason="none"]) on #1 -> "none"']


def test_bound_method(calls: list[str]) -> None:
    """A bound method that was kept is a method of its object."""
    assert calls[1:] == ["method objects.Account.deposit(amount=2) on #1 -> #1"]


def test_operators(calls: list[str]) -> None:
    """What operators and built-in functions call are methods; ``repr`` and ``hash`` only where the caller asks."""
    assert calls == [
        'constructor objects.Shelf.__init__("a", "b") -> <objects:Shelf items=["a", "b"]>',
        'method objects.Shelf.__call__("a") on #1 -> true',
        'method objects.Shelf.__getitem__(?index=1) on #1 -> "b"',
        'method objects.Shelf.__setitem__(?index=1, ?item="c") on #1 -> null',
        'method objects.Shelf.__contains__(?item="c") on #1 -> true',
        "method objects.Shelf.__len__() on #1 -> 2",
        'constructor objects.Shelf.__init__("a", "c") -> <objects:Shelf items=["a", "c"]>',
        "method objects.Shelf.__eq__(?other=#7) on #1 -> true",
        'method objects.Shelf.__add__(?other=#1) on #1 -> <objects:Shelf items=["a", "c", "a", "c"]>',
        "method objects.Shelf.__iter__() on #1 -> $opaque",
        "method objects.Shelf.__len__() on #1 -> 2",
        "method objects.Shelf.__hash__() on #1 -> 7",
        'method objects.Shelf.__repr__() on #1 -> "Shelf"',
    ]


def test_context_manager_class(calls: list[str]) -> None:
    """A context manager is entered and left, with the exception that it may suppress."""
    assert calls[1:4] == [
        "method objects.Shelf.__enter__() on #1 -> #1",
        "method objects.Shelf.__exit__(?kind=null, ?error=null, ?traceback=null) on #1 -> false",
        "method objects.Shelf.__enter__() on #1 -> #1",
    ]
    assert calls[4].startswith("method objects.Shelf.__exit__(?kind=builtins:KeyError, ")
    assert calls[4].endswith(" -> true")


def test_dataclass(calls: list[str]) -> None:
    """A generated constructor is one like any other; a default that a factory makes is defaulted."""
    assert [line.partition("[tags=")[0] for line in calls] == [
        "constructor data.Point.__init__(1, y=-2, ",
        "method data.Point.norm() on #1 -> 3",
        "constructor data.Point.__init__(1, -2, ",
    ]
    assert calls[0].endswith(" -> <data:Point tags=[] x=1 y=-2>")


def test_dataclass_default_is_no_opaque_value(cases: Trace) -> None:
    """A default that a factory makes does not make the call one that can't be replayed."""
    assert "opaque" not in cases.calls("test_dataclass")[0]


def test_dataclass_post_init(calls: list[str]) -> None:
    """What a generated constructor calls comes from inside."""
    assert calls == [
        "constructor data.Range.__init__(1, 2) -> <data:Range high=2 low=1>",
        'constructor data.Range.__init__(2, 1) raises builtins:ValueError["low > high"]',
    ]


def test_namedtuple(calls: list[str]) -> None:
    """The constructor of a named tuple is recorded, and the object that it made is a value."""
    assert [line.partition(" -> ")[0] for line in calls] == [
        "constructor data.Pair.__new__(1, right=2)",
        "constructor data.Size.__new__(3, [height=1])",
        "method data.Size.area() on #2",
    ]


def test_enum(calls: list[str]) -> None:
    """A member of an enumeration is a symbol."""
    assert calls == ['method data.Colour.shout() on data:Colour.RED -> "RED!"']


def test_builtin_subclass(calls: list[str]) -> None:
    """An object of a class that inherits its constructor from a built-in one can be made again."""
    assert calls[-1].endswith(' -> "TAG"')
    assert "opaque" not in calls[-1]


def test_object_passed_back(calls: list[str]) -> None:
    """An object that a call gave is an argument by reference."""
    assert calls[1:] == ['function objects.owner_of(#1) -> "Ada"']


def test_item_passed_back(calls: list[str]) -> None:
    """An item of a result is an argument by reference and path."""
    assert calls[1:] == ['function objects.owner_of(#1.rest.1) -> "Cy"']


def test_subclass_of_caller(calls: list[str], events: list[Any]) -> None:
    """A class of the caller's over one of the package's is a definition; its methods are stubs."""
    assert calls == ["method objects.Template.run(4) on $inst -> 9"]
    (call,) = outside(events)
    assert [(stub["values"]["value"], stub["outcome"]) for stub in call["stubs"]] == [(4, {"return": 8})]


def test_super_in_subclass_of_caller(calls: list[str], events: list[Any]) -> None:
    """What a class of the caller's asks of ``super()`` comes from outside, and is reached on the package's class."""
    assert calls[1:] == ["method objects.Account.deposit(4) on #1 -> #1"]
    call = outside(events)[1]
    assert call["access"]["class"] == "cases.objects:Account"


def test_constructor_by_new(calls: list[str]) -> None:
    """A class that constructs by ``__new__`` alone is called; the object that it gave before is the same."""
    assert calls == [
        'constructor objects.Interned.__new__("one") -> <objects:Interned>',
        'constructor objects.Interned.__new__("one") -> #1',
    ]


def test_dynamic_attribute(calls: list[str]) -> None:
    """An attribute that ``__getattr__`` makes is a call of it."""
    assert calls[-1] == 'method objects.Dynamic.__getattr__(?name="colour") on #1 -> "COLOUR"'


def test_exception_with_constructor(calls: list[str], cases: Trace) -> None:
    """An exception of the package's keeps its class and arguments; making it is an inner call."""
    assert calls == ['function data.check(4) raises data:CaseError["error 4"]']
    assert cases.counts["cases.data.CaseError.__init__"] == 1


def test_exception_without_constructor(calls: list[str]) -> None:
    """An exception without a constructor keeps all that it was made with."""
    assert calls == ['function data.check_plain() raises data:PlainError["plain", 3]']


def test_exception_passed_in(calls: list[str]) -> None:
    """An exception of the package's that the caller made can be made again."""
    assert calls[-1].startswith("function data.explain(")
    assert "opaque" not in calls[-1]


def test_generator(calls: list[str]) -> None:
    """A generator yields one by one; the call that consumes it does not tell its arguments' forms."""
    assert calls[0] in ("generator flow.numbers(stop=3) yields 0", "generator flow.numbers(?stop=3) yields 0")
    assert calls[1:] == ["next #1 yields 1", "next #1 yields 2", "next #1 -> null"]


def test_generator_abandoned(calls: list[str]) -> None:
    """A generator that is dropped is closed, on every Python."""
    assert calls[1:] == ["next #1 closed"]


def test_generator_not_started(cases: Trace) -> None:
    """A generator that is never started ran nothing."""
    assert cases.calls("test_generator_not_started") == []


def test_generator_send_and_throw(calls: list[str]) -> None:
    """What is sent and thrown into a generator is recorded with what it yields upon it."""
    assert calls[0].endswith(' yields "first"')
    assert calls[1] == 'next #1 sent "second" yields "second"'
    assert calls[2].startswith("next #1 thrown ")
    assert calls[2].endswith(' yields "caught"')
    assert calls[3:] == ["next #1 closed"]


def test_generator_delegating(calls: list[str]) -> None:
    """What a generator yields from another it yields itself."""
    assert calls[0].endswith(' yields "start"')
    assert calls[1:] == ["next #1 yields 0", "next #1 yields 1", 'next #1 -> "end"']


def test_coroutine(calls: list[str]) -> None:
    """A coroutine gives what it returns when it was awaited."""
    assert calls in (["coroutine flow.fetch(1) -> 2"], ["coroutine flow.fetch(?value=1) -> 2"])


def test_coroutines_together(calls: list[str], cases: Trace) -> None:
    """Coroutines that wait at the same time keep their own outcomes."""
    assert calls[-1] in ("coroutine flow.gather([1, 2]) -> [2, 3]", "coroutine flow.gather(?values=[1, 2]) -> [2, 3]")
    assert cases.counts["cases.flow.fetch"] == 3


def test_async_generator(calls: list[str], cases: Trace) -> None:
    """An asynchronous generator that is consumed inside is counted once."""
    assert [line.partition("(")[0] for line in calls] == ["coroutine flow.collect"]
    assert cases.counts["cases.flow.ticks"] == 1


def test_async_context_manager(calls: list[str]) -> None:
    """An asynchronous context manager is entered and left."""
    assert calls[-2:] == [
        "coroutine flow.AsyncResource.__aenter__() on #1 -> #1",
        "coroutine flow.AsyncResource.__aexit__(?kind=null, ?error=null, ?traceback=null) on #1 -> null",
    ]


def test_contextmanager_function(calls: list[str]) -> None:
    """A context manager that is a generator yields what it is entered with, and ends."""
    assert calls[0] in (
        'generator flow.opened("door") yields "door open"',
        'generator flow.opened(?name="door") yields "door open"',
    )
    assert calls[1:] == ["next #1 -> null"]


def test_contextmanager_function_with_exception(calls: list[str]) -> None:
    """An exception in the body is thrown into the generator."""
    assert calls[0].endswith(" yields null")
    assert calls[1].startswith("next #1 thrown ")
    assert calls[1].endswith(" -> null")


def test_thread_of_package(calls: list[str], cases: Trace) -> None:
    """What runs in the package's own threads is counted, not called from outside."""
    assert calls == ["function flow.in_threads([3, 1, 2]) -> [1, 2, 3]"]
    assert cases.counts["cases.flow.work"] == 4


def test_thread_of_caller(calls: list[str]) -> None:
    """What the caller's thread runs is called from outside."""
    assert calls == ["function flow.work(?value=1, ?results=[]) -> null"]
