"""What one file says: definitions, parameters, conditions, imports; whatever the bytes."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from signature_tools import files_of, release_of

from matrix.signatures import model
from matrix.signatures.archives import File
from matrix.signatures.model import Definition, Parameter, Source, show_parameters
from matrix.signatures.reading import read_source

NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
DEFAULTS = st.sampled_from(["1", "None", "LIMIT", "[x for x in y]", "lambda q: q", "os.sep", "1 << 20", "'é'", "-1"])


def read(text: str | bytes, module: str = "subject", *, package: bool = False) -> Source:
    """Read one file."""
    data = text.encode() if isinstance(text, str) else text
    return read_source(File("subject.py", module, package, data))


def named(source: Source, qualname: str) -> list[Definition]:
    """Return all definitions of a name."""
    return [one for one in source.definitions if one.qualname == qualname]


@st.composite
def parameter_lists(draw: st.DrawFn) -> str:
    """Make the parameters of a function that compiles: each kind may be there, defaults come last."""
    names = draw(st.lists(NAMES, unique=True, max_size=6))
    cut = sorted(draw(st.lists(st.integers(0, len(names)), min_size=3, max_size=3)))
    positional, keyword = names[: cut[2]], names[cut[2] :]
    first_default = draw(st.integers(0, len(positional)))
    shown = [name if at < first_default else f"{name}={draw(DEFAULTS)}" for at, name in enumerate(positional)]
    if 0 < cut[0] <= len(positional):
        shown.insert(cut[0], "/")
    rest = draw(st.sampled_from(["", "*rest"])) or ("*" if keyword else "")
    shown += [rest] if rest else []
    shown += [draw(st.sampled_from([name, f"{name}={draw(DEFAULTS)}"])) for name in keyword]
    return ", ".join([*shown, *(["**more"] if draw(st.booleans()) else [])])


@given(parameter_lists())
def test_parameters_read_are_those_written(written: str) -> None:
    """Shown again, the parameters of any function parse to what was written."""
    (function,) = named(read(f"def f({written}): pass"), "f")
    again = f"def f{show_parameters(function.parameters)}: pass"
    assert ast.dump(ast.parse(again)) == ast.dump(ast.parse(f"def f({written}): pass"))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No bytes bring the reader down: a file is read, or kept with its reason."""
    source = read(data)
    assert source.error is None or (source.error and not source.definitions)


@given(st.text(alphabet="abc =()[]{}:,*\n\t\"'.@#\\défclass", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    """What looks a little like Python does not bring the reader down either."""
    assert read(text).module == "subject"


def test_default_is_kept_as_source() -> None:
    """A default that is no literal is its source, and annotations are too."""
    (function,) = read("def f(a: int, size: 'Size' = 1<<20, *, sep=os.sep): ...").definitions
    assert function.parameters == (
        Parameter("a", model.POSITIONAL, None, "int"),
        Parameter("size", model.POSITIONAL, "1 << 20", "'Size'"),
        Parameter("sep", model.KEYWORD_ONLY, "os.sep", None),
    )


def test_lambdas_are_found() -> None:
    """A lambda goes by the name that it is assigned to, or by ``<lambda>`` in a call, a default, a table."""
    source = release_of(files_of("lambdas", "1.0")).modules["lambdas"]
    found = {one.qualname: show_parameters(one.parameters) for one in source.definitions if one.kind == model.LAMBDA}
    assert found["double"] == "(x, times=2)"
    assert found["Table.key"] == "(self, row, default=None)"
    nameless = sorted(show_parameters(one.parameters) for one in named(source, "<lambda>"))
    assert nameless == ["(a, b)", "(row)", "(text, *, strict=False)"]


def test_nested_functions_are_found() -> None:
    """What stands in a function goes by its qualified name, as ``__qualname__`` has it."""
    source = release_of(files_of("nested", "1.0")).modules["nested"]
    assert show_parameters(named(source, "outer.<locals>.inner")[0].parameters) == "(b, c=1)"
    assert show_parameters(named(source, "outer.<locals>.Local.method")[0].parameters) == "(self, d)"
    assert named(source, "Holder.Inside.method")


def test_overloads_are_marked() -> None:
    """An overload is kept as such, beside the function that runs."""
    source = release_of(files_of("overloads", "1.0")).modules["overloads"]
    assert [one.is_overload for one in named(source, "get")] == [True, True, False]


def test_each_definition_of_a_name_is_kept_with_its_conditions() -> None:
    """Conditional definitions are all there, each under what it stands under."""
    source = release_of(files_of("conditions", "1.0")).modules["conditions"]
    branches = [[(guard.branch, guard.test) for guard in one.guards] for one in named(source, "modern")]
    assert branches == [[("if", "sys.version_info >= (3, 0)")], [("else", "sys.version_info >= (3, 0)")]]


def test_try_except_finally_and_loops_are_told_apart() -> None:
    """Each block of a compound statement is its own condition; a ``finally`` block always runs."""
    text = (
        "try:\n a = 1\nexcept (OSError, ImportError):\n b = 1\nelse:\n c = 1\nfinally:\n d = 1\nfor e in []:\n f = 1\n"
    )
    found = {one.qualname: [guard.branch for guard in one.guards] for one in read(text).definitions}
    assert found == {"a": ["try"], "b": ["except"], "c": ["no-exception"], "d": [], "e": [], "f": ["loop"]}


def test_relative_imports_become_absolute() -> None:
    """A relative import is read from where the file lies; what goes above the top is told as such."""
    text = "from . import a\nfrom .b import c as d\nfrom ..e import *\nfrom .... import f\nimport g.h, i.j as k"
    targets = {one.qualname: one.target for one in read(text, "top.mid.leaf").definitions}
    assert targets == {"a": "top.mid.a", "d": "top.mid.b.c", "*": "top.e", "f": "..f", "g": "g", "k": "i.j"}
    assert {one.target for one in read("from . import a", "top.mid", package=True).definitions} == {"top.mid.a"}


def test_imports_in_functions_are_deferred() -> None:
    """An import in a function binds nothing in the module and does not run with it."""
    source = read("def f():\n import json\n")
    assert [(one.module, one.deferred) for one in source.imports] == [("json", True)]
    assert not named(source, "json")


@pytest.mark.parametrize(
    ("text", "exports"),
    [
        ("a = 1", None),
        ("__all__ = ['a', 'b']", ("a", "b")),
        ("__all__ = ('a',)\n__all__ += ['b']\n__all__.append('c')\n__all__.extend(['d'])", ("a", "b", "c", "d")),
        ("__all__ = ['a'] + other.__all__", ("a", "other.__all__")),
        ("__all__: list = []", ()),
    ],
)
def test_exports(text: str, exports: tuple[str, ...] | None) -> None:
    """``__all__`` is read as far as it is written out, another module's by its name."""
    assert read(text).exports == exports


def test_attributes_set_on_self_are_of_the_class() -> None:
    """What any method sets on its first parameter is an attribute of instances, at its first line."""
    source = read("class C:\n def f(me):\n  me.x = me.y.z = 1\n def g(self):\n  self.x = 2\n  other.w = 1\n")
    assert [(one.qualname, one.line) for one in source.definitions if one.on_instance] == [("C.x", 3), ("C.x", 5)]


def test_names_set_by_global_statements() -> None:
    """A name that a function declares global is one of the module's."""
    assert named(read("def f():\n global state\n state = 1\n"), "state")[0].kind == model.ATTRIBUTE


def test_deleted_and_unpacked_names() -> None:
    """``del`` takes a name away; names that share a value have none of their own."""
    source = read("a, (b, *c) = d = values\nwith open(a) as e: pass\ndel b\nif (g := 1): pass\n")
    kinds = [(one.qualname, one.kind, one.value) for one in source.definitions]
    assert ("b", "deleted", None) in kinds
    assert {name for name, kind, _ in kinds if kind == "attribute"} == {"a", "b", "c", "d", "e", "g"}
    assert all(value is None for _, _, value in kinds)


def test_body_is_compared_without_docstring_comments_and_layout() -> None:
    """Two bodies are one if they run the same statements."""
    first = read("def f(a):\n    '''Doc.'''\n    # why\n    return (a +\n            1)\n").definitions[0]
    second = read("def f(b):\n    return a + 1\n").definitions[0]
    assert first.body == second.body


def test_calls_are_those_that_always_happen() -> None:
    """Calls before any branch count; local names, branches, and what follows a way out do not."""
    text = (
        "class C:\n def f(self, a):\n  b = make(a)\n  b.run()\n  self.g(x.y())\n  maybe() if a else other()\n"
        "  if check(a):\n   return 1\n  late()\n"
    )
    assert named(read(text), "C.f")[0].calls == ("make", "self.g", "x.y", "check")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"print 'hello'\n", "line 1: Missing parentheses"),
        (b"# -*- coding: no-such-encoding -*-\n", "unknown encoding"),
        (b"# -*- coding: ascii -*-\nname = '\xe9'\n", "decode byte"),
        (b"a = 1\x00\n", "null bytes"),
        (b"match x:\n  case 1 | 2 as:\n    pass", "line 2: "),
        (b"(" * 5000 + b")" * 5000, "too many nested parentheses"),
    ],
)
def test_file_that_cannot_be_parsed_is_kept_with_its_reason(data: bytes, reason: str) -> None:
    """Python 2, unknown encodings, null bytes and the like are told, and nothing is made up."""
    source = read(data)
    assert reason in str(source.error)
    assert not source.definitions


def test_declared_encoding_is_followed() -> None:
    """A file in Latin-1 that says so is read as such."""
    source = read("# -*- coding: latin-1 -*-\ndef f(a='é'): pass\n".encode("latin-1"))
    assert source.definitions[0].parameters[0].default == "'é'"


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("def d(f):\n @wraps(f)\n def w(*a, **k): pass\n return w", "bare"),
        ("def d(f):\n @functools.wraps(f)\n def w(self, *a, **k): pass\n return w", "bare"),
        ("def d(f):\n def w(*a, **k): pass\n return functools.update_wrapper(w, f)", None),
        ("def d(f):\n def w(*a, **k): pass\n update_wrapper(w, f)\n return w", "bare"),
        ("def d(n=1):\n def e(f):\n  @wraps(f)\n  def w(*a, **k): pass\n  return w\n return e", "called"),
        ("def d(f):\n f.marked = True\n return f", "bare"),
        ("def d(f):\n def w(*a, **k): pass\n return w", None),
        ("def d(f):\n @wraps(f)\n def w(a): pass\n return w", None),
        ("def d(f):\n if x:\n  return f\n return None", None),
        ("class D:\n def __init__(self, f):\n  update_wrapper(self, f)", "updates"),
    ],
)
def test_what_a_decorator_keeps(text: str, forms: str | None) -> None:
    """A wrapper counts as keeping signatures only if it says whom it wraps and passes everything on."""
    source = read(text)
    assert {one.qualname: one.wraps for one in source.definitions}.get("d", source.definitions[-1].wraps) == forms
