"""What names lead to in a release, and the parameters that a call meets, checked against the interpreter."""

import pytest
from signature_tools import FIXTURES, inspected, names_in, names_of, read_parameters, release_of, signature

from matrix.signatures import model
from matrix.signatures.lookup import Namespace
from matrix.signatures.modules import Found, ImportFails, Missing, Unknown

# Every fixture package that can be imported, with how many of its functions reading cannot tell.
TOPICS = {
    "decorators": {
        "decorated.api:changed": "change",
        "decorated.api:kept_in_part": "partly",
    },
    "lambdas": {},
    "inherited": {},
    "nested": {},
    "parameters": {},
    "aliases": {},
    "stars": {},
    "conditions": {"conditions:either": "2 ways"},
    "fallbacks": {},
    "overloads": {},
    "namespace": {},
    "several": {},
}


def callables(names: Namespace) -> list[str]:
    """Return the paths of all functions, methods and classes that are not in functions."""
    paths: list[str] = []
    kinds = {model.FUNCTION, model.LAMBDA, model.CLASS}
    for module, source in names.release.modules.items():
        named = [one for one in source.definitions if one.kind in kinds and one.access != "property"]
        paths += [f"{module}:{one.qualname}" for one in named if "<" not in one.qualname]
    return [path for path in dict.fromkeys(paths) if isinstance(names.resolve(path), Found)]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("topic", sorted(TOPICS))
def test_read_parameters_are_those_that_inspect_gives(topic: str, version: str) -> None:
    """In both releases of each fixture package, reading tells what importing does, or says why not."""
    if (topic, version) == ("fallbacks", "2.0"):
        pytest.skip("this release does not import; test_import_that_fails is about it")
    names = names_of(topic, version)
    told = inspected(FIXTURES / topic / version, callables(names))
    read = {path: read_parameters(names, path) for path in told}
    different = {path: read[path] for path in told if read[path] != told[path]}
    assert told
    assert set(different) == set(TOPICS[topic])
    for path, reason in TOPICS[topic].items():
        assert reason in str(different[path])


# The four holes


def test_decorators_that_keep_the_signature_are_seen_through() -> None:
    """``functools.wraps`` wrappers, factories, registrars and wrapping classes show the function's own parameters."""
    names = names_of("decorators")
    assert signature(names, "decorated.api.kept") == "(a, b=1)"
    assert signature(names, "decorated.api.kept_by_factory") == "(a, *, b=1)"
    assert signature(names, "decorated.api.registered") == "(a)"
    assert signature(names, "decorated.api.timed") == "(a, b)"
    assert signature(names, "decorated.api.like_kept") == "(a, b=1)"
    assert signature(names, "decorated.api.Service.made") == "(a)"


def test_decorator_that_may_change_the_signature_is_not_guessed_at() -> None:
    """A decorator that does not say whom it wraps, or does not pass everything on, leaves the signature unknown."""
    names = names_of("decorators")
    assert signature(names, "decorated.api.changed") == "unknown: signature unknown: decorated with @change"
    assert "unknown" in signature(names, "decorated.api.kept_in_part")


def test_decorators_of_two_releases_differ() -> None:
    """What changes under a decorator is seen."""
    old, new = names_of("decorators"), names_of("decorators", "2.0")
    assert signature(old, "decorated.api.kept") == "(a, b=1)"
    assert signature(new, "decorated.api.kept") == "(a, *, b=1)"
    assert signature(old, "decorated.api.Service.static") == "(a, b=1)"
    assert signature(new, "decorated.api.Service.static") == "(self, a, b=1)"


def test_lambdas_have_signatures() -> None:
    """A lambda with a name is a function, also on a class."""
    assert signature(names_of("lambdas"), "lambdas.double") == "(x, times=2)"
    assert signature(names_of("lambdas", "2.0"), "lambdas.double") == "(value, times=2)"
    assert signature(names_of("lambdas", "2.0"), "lambdas.Table.key") == "(self, default=None, row=None)"


def test_inherited_methods_are_found_in_their_class() -> None:
    """A method is looked up through the bases, in the order that Python goes through them."""
    old, new = names_of("inherited"), names_of("inherited", "2.0")
    assert signature(old, "inherited.Grandchild.shared") == "(self, a, b=1)"
    assert signature(new, "inherited.Grandchild.shared") == "(self, b=1, a=0)"
    assert signature(old, "inherited.Grandchild") == "(name, size=1)"
    assert signature(new, "inherited.Grandchild") == "(name, *, size=1)"
    assert signature(new, "inherited.Child.moved_down") == "Missing: inherited.Child.moved_down"


def test_members_of_dependencies_are_inherited() -> None:
    """A base class outside the release is read where it is installed; the standard library is."""
    names = names_of("inherited")
    assert signature(names, "inherited.Mapping.get") == "(self, key, default=None)"
    answer = names.resolve("inherited.Mapping.values")
    assert isinstance(answer, Found)
    assert answer.owner is not None
    assert answer.owner.definition is not None
    assert answer.owner.definition.name == "Mapping"
    assert isinstance(names.resolve("inherited.Mapping.nothing"), Missing)


def test_method_resolution_order() -> None:
    """Several bases are gone through in C3 order, as `type.mro` would."""
    names = names_of("inherited")
    found = names.resolve("inherited.Mixed")
    assert isinstance(found, Found)
    order, gap = names.mro(found)
    assert gap is None
    assert [one.path.rpartition(".")[2] for one in order][:4] == ["Mixed", "Child", "Base", "Mapping"]


def test_bases_without_an_order_are_unknown() -> None:
    """Bases that Python itself would refuse are no guess."""
    names = names_in("class A: pass\nclass B(A): pass\nclass C(A, B): pass\n")
    assert "have no order" in signature(names, "subject.C.missing")


def test_base_that_is_not_installed_is_unknown() -> None:
    """What a class may inherit from a base that is not there is not known; what it defines itself is."""
    names = names_in("from no_such_distribution import Base\nclass C(Base):\n def f(self): pass\n")
    assert signature(names, "subject.C.f") == "(self)"
    assert "inherits from Base" in signature(names, "subject.C.g")
    assert "inherits from Base" in signature(names, "subject.C")


def test_nested_functions_are_found_by_their_qualified_name() -> None:
    """A path into a function's locals is answered from the source."""
    assert signature(names_of("nested"), "nested:outer.<locals>.inner") == "(b, c=1)"
    assert signature(names_of("nested", "2.0"), "nested:outer.<locals>.inner") == "(b, *, c=1)"
    assert signature(names_of("nested"), "nested.Holder.Inside.method") == "(self, e)"
    assert isinstance(names_of("nested").resolve("nested:outer.<locals>.nothing"), Missing)


# Constructors


def test_constructors_that_nobody_wrote() -> None:
    """Dataclasses, inherited ones too, and named tuples are made with their fields."""
    names = names_of("inherited")
    assert signature(names, "inherited.Point") == "(x, y=0, tags=<factory>)"
    assert signature(names, "inherited.Point3") == "(x, y=0, tags=<factory>, z=0)"
    assert signature(names, "inherited.Pair") == "(left, right=0)"
    assert signature(names_of("inherited", "2.0"), "inherited.Point") == "(x, tags=<factory>)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("class C: pass", "()"),
        ("class C:\n def __new__(cls, a): pass", "(a)"),
        ("class C(Exception): pass", "(*args, **kwargs)"),
        ("class M(type): pass\nclass C(metaclass=M): pass", "unknown: subject.C has a metaclass"),
        ("import enum\nclass C(enum.Enum):\n A = 1", "unknown: subject.C has a metaclass"),
        ("from abc import ABC\nclass C(ABC):\n def __init__(self, a): pass", "(a)"),
        ("import attr\n@attr.s\nclass C: pass", "unknown: signature unknown: subject.C is decorated with @attr.s"),
        ("from dataclasses import dataclass\n@dataclass(init=False)\nclass C:\n a: int", "()"),
        (
            "from dataclasses import dataclass, KW_ONLY\n@dataclass\nclass C:\n a: int\n _: KW_ONLY\n b: int = 1",
            "(a, *, b=1)",
        ),
        ("from dataclasses import dataclass\n@dataclass(kw_only=True)\nclass C:\n a: int", "(*, a)"),
        ("import dataclasses as d\n@d.dataclass\nclass C:\n a: int = d.field(default=3)", "(a=3)"),
        (
            "from typing import Generic, TypeVar\nT = TypeVar('T')\nclass C(Generic[T]):\n def __init__(self, a): pass",
            "(a)",
        ),
    ],
)
def test_constructor(text: str, expected: str) -> None:
    """How a class is made follows from what is written, or is not known."""
    assert signature(names_in(text), "subject.C") == expected


# Aliases and star imports


def test_aliases_lead_to_what_they_name() -> None:
    """Re-exports, renamings and second names are followed, also to where a later release has moved things."""
    old, new = names_of("aliases"), names_of("aliases", "2.0")
    for path in ("aliases.work", "aliases.run", "aliases.again"):
        assert signature(old, path) == signature(new, path) == "(amount, fast=False)"
    assert signature(old, "aliases.shout") == "(self, text, times=1)"
    assert signature(old, "aliases.Worker.call") == "(self, text, times=1)"
    assert signature(new, "aliases._impl.work") == "Missing: aliases._impl"
    found = old.resolve("aliases.Loader")
    assert isinstance(found, Found)
    assert found.path == "json.decoder.JSONDecoder"


def test_alias_of_itself_ends() -> None:
    """Aliases that go round in a circle are unknown, not endless."""
    names = names_in("from other import x", other="from subject import x")
    assert isinstance(names.resolve("subject.x"), Unknown)


def test_star_imports_bring_what_is_exported() -> None:
    """``__all__`` decides, or the underscore; what is deleted or written later counts."""
    names = names_of("stars")
    assert signature(names, "stars.shown") == "(a)"
    assert signature(names, "stars._also_shown") == "(a, b)"
    assert signature(names, "stars.shadowed") == "(a, b)"
    for gone in ("not_shown", "_private", "deleted"):
        assert isinstance(names.resolve(f"stars.{gone}"), Missing)


def test_star_imports_follow_a_changed_all() -> None:
    """A release that exports other names brings other names."""
    new = names_of("stars", "2.0")
    assert signature(new, "stars.added") == "()"
    assert isinstance(new.resolve("stars._also_shown"), Missing)


def test_all_of_another_module_is_looked_up() -> None:
    """``__all__`` can take over another module's."""
    names = names_in(
        "from other import *", other="import third\n__all__ = ['f'] + third.__all__\n", third="__all__ = ['g']\n"
    )
    assert names.exported("other") == ["f", "g"]


def test_star_imports_in_a_circle_end() -> None:
    """Two modules that take everything from each other are read once each."""
    names = names_in("from other import *\ndef f(): pass", other="from subject import *\ndef g(): pass")
    assert signature(names, "subject.g") == "()"


# Conditions


def test_conditions_that_reading_decides() -> None:
    """The Python version, the platform and type checking are known."""
    names = names_of("conditions")
    assert signature(names, "conditions.modern") == "(a, b)"
    assert signature(names, "conditions.Kinds.method") == "(self, a)"
    assert isinstance(names.resolve("conditions.elsewhere"), Missing)
    assert isinstance(names.resolve("conditions.Never"), Missing)


def test_conditions_that_only_running_decides() -> None:
    """Where two ways remain the signature is unknown, unless both are the same."""
    names = names_of("conditions")
    assert "defined in 2 ways" in signature(names, "conditions.either")
    assert signature(names, "conditions.alike") == "(a)"


@pytest.mark.parametrize(
    ("test", "holds"),
    [
        ("sys.version_info >= (3, 8) and TYPE_CHECKING", False),
        ("os.environ.get('X') and False", False),
        ("os.environ.get('X') or True", True),
        ("not TYPE_CHECKING", True),
        ("os.environ.get('X')", None),
        ("sys.version_info < 'text'", None),
        ("1 < 2 < 3", None),
        ("sys.version_info[:2] == (2, 7)", False),
        ("'a' in ('a', 'b')", True),
    ],
)
def test_condition(test: str, holds: bool | None) -> None:  # noqa: FBT001 # the expected answer
    """A condition is decided if any part of it that is known decides it."""
    names = names_in(f"if {test}:\n def f(yes): pass\nelse:\n def f(no): pass\n")
    expected = {True: "(yes)", False: "(no)", None: "unknown: subject.f is defined in 2 ways, under conditions"}[holds]
    assert signature(names, "subject.f") == expected


def test_fallback_is_used_where_the_import_fails() -> None:
    """``except ImportError`` holds if what is tried is neither there nor declared; else it does not."""
    names = names_of("fallbacks")
    assert signature(names, "fallbacks.parse") == "(text, strict=True)"
    assert signature(names, "fallbacks.helper") == "(a, b)"
    assert "(s, *, cls=None" in signature(names, "fallbacks.loads")


def test_fallback_is_unknown_where_a_declared_dependency_may_provide_it() -> None:
    """A declared distribution that is not installed here may hold any module."""
    release = release_of(
        {"subject.py": "try:\n from speed import f\nexcept ImportError:\n def f(a): pass\n"}, requires=("fast-speed",)
    )
    assert isinstance(Namespace(release).resolve("subject.f"), Found)
    assert "unknown" in signature(Namespace(release), "subject.f").lower()


def test_overloads_do_not_count() -> None:
    """The function that runs is what callers meet."""
    names = names_of("overloads")
    assert signature(names, "overloads.get") == "(key, default=None, *, strict=False)"
    assert signature(names, "overloads.Box.put") == "(self, item, times=1)"
    assert signature(names_of("overloads", "2.0"), "overloads.get") == "(key, *, default=None)"


# Modules


def test_namespace_package() -> None:
    """A folder without ``__init__`` is a package if modules lie in it."""
    names = names_of("namespace")
    assert signature(names, "space.part.act") == "(a)"
    assert signature(names_of("namespace", "2.0"), "space.part.act") == "(a, b)"
    assert names.resolve("space") == Found("space")
    assert isinstance(names.resolve("space.other"), Missing)


def test_several_top_level_names() -> None:
    """A release can bring several packages and modules; each is its own."""
    old, new = names_of("several"), names_of("several", "2.0")
    assert signature(old, "second.two") == "(a, b)"
    assert signature(new, "first.one") == "(a, b=1)"
    assert signature(new, "third.two") == "(a, b)"
    assert not new.owns("second")


def test_import_that_fails() -> None:
    """A module that imports what is not declared fails, and takes all with it that import it."""
    names = names_of("fallbacks", "2.0")
    assert names.import_failure("fallbacks") == ImportFails("no_such_distribution", "fallbacks")
    assert names.import_failure("fallbacks.present") == ImportFails("no_such_distribution", "fallbacks")


@pytest.mark.parametrize(
    "text",
    [
        "def f():\n import no_such_distribution\n",
        "try:\n import no_such_distribution\nexcept ImportError: pass\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n import no_such_distribution\n",
        "import os.path, json, xml.etree.ElementTree\n",
        "from other import f\n",
    ],
)
def test_import_that_does_not_fail(text: str) -> None:
    """Deferred, guarded and standard imports are no failure."""
    assert names_in(text, other="def f(): pass").import_failure("subject") is None


def test_name_that_an_own_module_does_not_have_fails_the_import() -> None:
    """``from .other import name`` fails where the other module lacks it."""
    names = names_in("from other import gone", other="")
    assert names.import_failure("subject") == ImportFails("other.gone", "subject")


def test_dependencies_beside_the_release_can_be_imported() -> None:
    """What lies beside the release without being declared is importable."""
    release = release_of({"subject.py": "import boto3\n"})
    assert Namespace(release).import_failure("subject") == ImportFails("boto3", "subject")
    assert Namespace(release, ("boto3>=1",)).import_failure("subject") is None


def test_declared_dependencies_bring_theirs() -> None:
    """What a declared distribution requires in turn can be imported too."""
    release = release_of({"subject.py": "import urllib3\n"}, requires=("requests",))
    assert Namespace(release).import_failure("subject") is None


def test_extras_are_not_installed() -> None:
    """A requirement of an extra does not count as declared."""
    release = release_of({"subject.py": "import boto3\n"}, requires=('boto3; extra == "ecr"', "requests"))
    assert Namespace(release).import_failure("subject") == ImportFails("boto3", "subject")


def test_modules_that_make_their_names_are_unknown() -> None:
    """Module ``__getattr__`` and class ``__getattr__`` may give anything."""
    names = names_in("def __getattr__(name): pass\nclass C:\n def __getattr__(self, name): pass\n")
    assert isinstance(names.resolve("subject.anything"), Unknown)
    assert isinstance(names.resolve("subject.C.anything"), Unknown)


def test_unreadable_module_is_unknown() -> None:
    """Of a file that does not parse nothing is said."""
    names = names_in("print 'x'")
    answer = names.resolve("subject.f")
    assert isinstance(answer, Unknown)
    assert "cannot be read" in answer.reason


def test_what_is_made_at_run_time_has_no_signature() -> None:
    """Partials and results of calls are unknown, and say what they are."""
    names = names_in("import functools\ndef f(a, b): pass\ng = functools.partial(f, 1)\nh = make()\n")
    assert signature(names, "subject.g") == "unknown: subject.g is made at run time: functools.partial(f, 1)"
    assert signature(names, "subject.h") == "unknown: subject.h is made at run time: make()"


# What is odd


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("f = len", "(obj, /)"),
        ("f = dict", "unknown: dict is built in and tells no signature"),
        ("class f(dict): pass", "unknown: dict is built in and tells no signature"),
        ("class M(type):\n def __call__(cls): pass\nclass f(metaclass=M): pass", "unknown: subject.f has a metaclass"),
        ("class f(UnknownBase): pass", "unknown: subject.f inherits from UnknownBase, which is not known"),
        ("class f(make()): pass", "unknown: subject.f inherits from make(), which is not known"),
        ("import typing\nclass f(typing.NamedTuple):\n a: int\n b: int = 2", "(a, b=2)"),
        ("@decorators[0]\ndef f(a): pass", "unknown: signature unknown: decorated with @decorators[0]"),
        ("@magic\nclass f: pass", "unknown: signature unknown: subject.f is decorated with @magic"),
        ("import functools\n@functools.total_ordering\nclass f:\n def __init__(self, a): pass", "(a)"),
        (
            "import functools\n@functools.wraps(gone)\ndef f(*a): pass",
            "unknown: signature unknown: decorated with @functools.wraps(gone)",
        ),
        ("import os as f", "unknown: os is a module"),
        ("def f(a): pass\nf = staticmethod(f)", "unknown: subject.f is made at run time: staticmethod(f)"),
        ("class C:\n def g(self, a): pass\nf = C().g", "unknown: subject.f is made at run time: C().g"),
    ],
)
def test_odd_things(text: str, expected: str) -> None:
    """Builtins, metaclasses, computed bases and decorators: told as far as reading tells."""
    assert signature(names_in(text), "subject.f") == expected


def test_attributes_of_instances_and_of_object() -> None:
    """What methods set on ``self`` and what every object has is there."""
    names = names_in("class C:\n def __init__(self): self.x = 1\n")
    for name in ("x", "__init__", "__class__", "__repr__"):
        assert isinstance(names.resolve(f"subject.C.{name}"), Found)
    assert isinstance(names.resolve("subject.C.y"), Missing)
    assert isinstance(names.resolve("subject.C.__init__.z"), Unknown)


def test_path_into_nothing() -> None:
    """A package that is neither the release's nor installed is unknown, a module that the release lacks is missing."""
    names = names_in("")
    assert isinstance(names.resolve("no_such_package.thing"), Unknown)
    assert isinstance(names.resolve("no_such_package:thing"), Unknown)
    assert isinstance(names.resolve("subject.inner:thing"), Missing)
    assert isinstance(names.resolve("json.decoder.JSONDecoder"), Found)
    assert isinstance(names.resolve("json.no_such_name"), Unknown)
