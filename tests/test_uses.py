"""What the top of a test file cannot do without: names, and modules of the suite's own."""

import ast
import textwrap
from pathlib import Path

import pytest

from matrix.agent.callsite import source_of
from matrix.agent.reads import relative_imports_of
from matrix.agent.uses import used_at_top


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("made = make()", {"make"}),
        ("kept = [name, other]", set()),
        ("mark = pytest.mark.parametrize('x', [name])", {"pytest"}),
        ("if not flag: call()", {"flag"}),
        ("if flag and other: pass", {"flag"}),
        ("@decorate\ndef f(x=default()): use(x)", {"decorate", "default"}),
        ("class A(Base):\n    x = field()\n    def f(self): other()", {"Base", "field"}),
        ("try:\n    call()\nexcept Exception: pass", set()),
        ("kept = [call(x) for x in ()]\nlater = lambda: call()", set()),
        ("first = items[0]", {"items"}),
    ],
)
def test_used_at_top(source: str, names: set[str]) -> None:
    """What is called, asked or decided by is used; what is only handed on, or executed later or maybe, is not."""
    assert used_at_top(ast.parse(textwrap.dedent(source))) == names


@pytest.mark.parametrize(
    ("source", "places"),
    [
        ("from . import a, b", ["pkg/tests.py", "pkg/tests/a.py", "pkg/tests/b.py"]),
        ("from .a import x", ["pkg/tests/a.py", "pkg/tests/a/x.py"]),
        ("from ..tools.b import x", ["pkg/tools/b.py", "pkg/tools/b/x.py"]),
        ("try:\n    from . import a\nexcept ImportError: pass", []),
        ("def f():\n    from . import a", []),
        ("import a\nfrom b import c", []),
    ],
)
def test_relative_imports(tmp_path: Path, source: str, places: list[str]) -> None:
    """They are looked for beside the file, or above it, where it cannot be loaded without."""
    file = tmp_path / "pkg" / "tests" / "test_a.py"
    file.parent.mkdir(parents=True)
    file.write_text(source)
    found = relative_imports_of(source_of(str(file)), str(file))
    assert [str(Path(place).relative_to(tmp_path)) for place in found] == places
