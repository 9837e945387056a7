"""Names that the top of a test file cannot do without."""

import ast
import textwrap

import pytest

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
