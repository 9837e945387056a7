"""Checks what a caller compared: trees of operations over values (docs/trace-format.md, "Events")."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from matrix.agent import evaluate
from matrix.agent.checks import CLOCKS, FUNCTIONS, METHODS, MOCK_CHECKS, PATH_FUNCTIONS
from matrix.schema_values import Json, Values, fields, ident, one_of, refuse, shown

OPERATORS = {*evaluate.OPERATORS, "and", "or", "if"}
CHECK_FUNCTIONS = {*FUNCTIONS, *CLOCKS, "Path", "os.listdir", *(f"os.path.{name}" for name in PATH_FUNCTIONS)}
SLICE = 3


@dataclass(slots=True)
class Trees(Values):
    """Checks comparisons, and collects the readings of the clock that they name."""

    clocks: set[int] = field(default_factory=set)

    def compared(self, line: Json) -> None:
        """Check a check."""
        fields("a check", line, {"e": str, "calls": list}, {"tree": dict, "whole": bool, "why": str})
        if ("tree" in line) == (line.get("whole") is True) or ("whole" in line) != ("why" in line):
            refuse("a check must have a tree, or be whole and say why")
        self.calls.update(ident("a call of a check", call) for call in line["calls"])
        if "tree" in line:
            self.tree(line["tree"])

    def tree(self, tree: Json) -> None:
        """Check a comparison: operations of fixed lists over values."""
        kind = next(iter(tree), "") if isinstance(tree, dict) else ""
        check = TREES.get(kind)
        if check is None:
            refuse(f"the comparison {shown(tree)} is not known")
        for part in check(self, tree):
            self.tree(part)

    def tree_value(self, tree: Json) -> list[Json]:
        """Check a value of a comparison."""
        fields("a value of a comparison", tree, {"v": object})
        self.argument(tree["v"])
        return []

    def tree_read(self, tree: Json) -> list[Json]:
        """Check a read in a comparison."""
        fields("a read in a comparison", tree, {"read": str})
        self.subjects("a read in a comparison", tree["read"])
        return []

    def tree_clock(self, tree: Json) -> list[Json]:
        """Check a reading of the clock in a comparison."""
        fields("a clock in a comparison", tree, {"clock": int})
        self.clocks.add(ident("a clock in a comparison", tree["clock"]))
        return []

    def tree_get(self, tree: Json) -> list[Json]:
        """Check an attribute, an item or a slice in a comparison."""
        fields("a get", tree, {"get": dict}, {"a": str, "k": dict, "s": list})
        if len(tree) != len(("get", "one of a, k, s")) or len(tree.get("s", [0] * SLICE)) != SLICE:
            refuse("a get must have one of a, k and s")
        return [tree["get"], *([tree["k"]] if "k" in tree else tree.get("s", []))]

    def tree_apply(self, tree: Json) -> list[Json]:
        """Check an operator, a function or a method in a comparison."""
        kind, names = next((kind, names) for kind, names in APPLIED.items() if kind in tree)
        fields(
            f"the {kind} of a comparison", tree, {kind: str, "args": list}, {"kwargs": dict} if kind == "method" else {}
        )
        one_of(f"the {kind} of a comparison", tree[kind], names)
        # With two arguments it calls the first of them.
        if tree.get("call") == "iter" and len(tree["args"]) != 1:
            refuse("iter() of a comparison takes one argument")
        if tree.get("op") == "if" and len(tree["args"]) != len(("test", "then", "else")):
            refuse("an if of a comparison takes three arguments")
        if kind == "method" and not tree["args"]:
            refuse("a method of a comparison without an object")
        return [*tree["args"], *tree.get("kwargs", {}).values()]


APPLIED: dict[str, Any] = {"op": OPERATORS, "call": CHECK_FUNCTIONS, "method": METHODS | MOCK_CHECKS}
TREES: dict[str, Callable[[Trees, Json], list[Json]]] = {
    "v": Trees.tree_value,
    "read": Trees.tree_read,
    "clock": Trees.tree_clock,
    "get": Trees.tree_get,
    **dict.fromkeys(APPLIED, Trees.tree_apply),
}
