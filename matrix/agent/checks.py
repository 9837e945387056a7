"""What the caller looked at: its assertions about results as data, its imports, its reads of the subject's modules.

A check is a tree of operations from the lists below, over values (references to results among them): a replay
evaluates it on what the release under test gave. An assertion that cannot be expressed so is left out, and the
results that it mentions count as looked at whole.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import sys
import textwrap
import types
from typing import Any, Dict, Iterator, List, Optional

from . import callsite
from .reads import module_attribute, reads_of, spelling
from .standard import STD_BY_TYPE
from .values import HELD, Json

COMPARISONS = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=",
    ast.Is: "is", ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%"}
# Functions without side effects that a check may apply.
FUNCTIONS = {
    "len", "str", "repr", "int", "float", "bool", "list", "tuple", "set", "frozenset", "dict", "sorted", "isinstance",
    "type", "abs", "min", "max", "sum", "any", "all", "issubclass", "callable", "hasattr", "getattr", "bytes", "round",
    "hash", "iter", "next", "reversed",
}  # fmt: skip
PATH_FUNCTIONS = {
    "basename",
    "dirname",
    "exists",
    "isfile",
    "isdir",
    "join",
    "islink",
    "abspath",
    "splitext",
    "getsize",
}
# Readings of the clock: between two of them time has passed, as it does in a replay, where sleeping is virtual.
CLOCKS = {"time.%s%s" % (name, unit) for name in ("time", "monotonic", "perf_counter") for unit in ("", "_ns")}
METHODS = {
    "startswith", "endswith", "lower", "upper", "strip", "lstrip", "rstrip", "split", "rsplit", "splitlines", "replace",
    "decode", "encode", "keys", "values", "items", "get", "count", "index", "find", "difference", "union",
    "intersection", "issubset", "issuperset", "isdisjoint", "exists", "is_file", "is_dir", "read_text", "read_bytes",
    "join", "format", "partition", "rpartition",
}  # fmt: skip
MOCK_CHECKS = {
    "assert_called", "assert_called_once", "assert_called_with", "assert_called_once_with", "assert_any_call",
    "assert_has_calls", "assert_not_called",
}  # fmt: skip


class Inexpressible(Exception):
    """An expression that is not a check."""


def events_of(source: callsite.Source, line: int, column: int, frame: types.FrameType, recorder: Any) -> Iterator[Json]:
    """Yield the events of a statement that was executed: its reads of the subject, and what it asserted."""
    statement = source.statements.get((line, column))
    if statement is None:
        return
    expression = asserted(statement)
    builder = Builder(source, frame, recorder)
    if expression is None:
        yield from clock_of(statement, frame, recorder)
        yield from taking_of(statement, builder)
    yield from reads_of(source, statement, frame, recorder.modules)
    if expression is None:
        return
    try:
        tree = builder.tree(expression)
    except Inexpressible as error:
        if builder.mentioned:
            yield {"e": "check", "calls": sorted(builder.mentioned), "whole": True, "why": str(error)}
        return
    if builder.mentioned or builder.seen or builder.subject:
        yield {"e": "check", "calls": sorted(builder.mentioned), "tree": tree}


def taking_of(statement: ast.AST, builder: "Builder") -> Iterator[Json]:
    """Yield the check that an attribute of a result is there, which was given a name: ``counts = function.counts``."""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Attribute):
        return
    target = statement.targets[0]
    if isinstance(target, ast.Name) and target.id in builder.locals:
        tree = builder.taken(target, builder.locals[target.id])
        if tree is not None:
            has = {"call": "hasattr", "args": [tree["get"], {"v": tree["a"]}]}
            yield {"e": "check", "calls": sorted(builder.mentioned), "tree": has}


def clock_of(statement: ast.AST, frame: types.FrameType, recorder: Any) -> Iterator[Json]:
    """Yield the event of a reading of the clock that was given a name: ``start = time.monotonic()``."""
    if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Call) or statement.value.args:
        return
    chain = callsite.chain_of(statement.value.func)
    found = module_attribute(chain, frame) if chain else None
    name = clock_name(found[0]) if found else None
    if name is not None and isinstance(statement.targets[0], ast.Name):
        reading = frame.f_locals.get(statement.targets[0].id)
        yield {"e": "clock", "id": recorder.known.read(reading, recorder.calls), "of": name}


def clock_name(found: Any) -> Optional[str]:
    """Return how a check names a function that reads the clock, None for any other."""
    name = "time.%s" % getattr(found, "__name__", "")
    return name if name in CLOCKS and getattr(sys.modules["time"], name[5:]) is found else None


def asserted(statement: ast.AST) -> Optional[ast.expr]:
    """Return the expression that a statement asserts to be true, if it asserts anything."""
    if isinstance(statement, ast.Assert):
        return statement.test
    if not isinstance(statement, ast.Expr) or not isinstance(statement.value, ast.Call):
        return None
    call = statement.value
    if not isinstance(call.func, ast.Attribute):
        return None
    if call.func.attr in MOCK_CHECKS:
        return call
    operation = callsite.ASSERTIONS.get(call.func.attr)
    return None if operation is None else unittest_expression(operation, call)


def unittest_expression(operation: str, call: ast.Call) -> Optional[ast.expr]:
    """Return one of unittest's assertions as the expression that it compares."""
    operators = {name: kind for kind, name in COMPARISONS.items()}
    if operation in operators and len(call.args) >= 2:
        return ast.Compare(call.args[0], [operators[operation]()], [call.args[1]])
    if operation == "true" and call.args:
        return call.args[0]
    if operation == "not" and call.args:
        return ast.UnaryOp(ast.Not(), call.args[0])
    if operation in ("is None", "is not None") and call.args:
        return ast.Compare(call.args[0], [ast.Is() if operation == "is None" else ast.IsNot()], [ast.Constant(None)])
    if operation == "isinstance" and len(call.args) >= 2:
        return ast.Call(ast.Name("isinstance", ast.Load()), call.args[:2], [])
    return None


class Builder:
    """Makes the tree of one expression, with its names resolved in a frame."""

    def __init__(self, source: callsite.Source, frame: types.FrameType, recorder: Any) -> None:
        """Make one."""
        self.source, self.frame, self.recorder = source, frame, recorder
        self.modules = recorder.modules
        self.locals = frame.f_locals
        self.mentioned: set[int] = set()
        self.seen = False  # whether there is something of the caller's that calls tell of what they do
        self.subject = False  # does it read what a module of the subject's holds

    def value(self, obj: Any) -> Json:
        """Return the value of an object, and note the calls that it came from."""
        reading = self.recorder.known.reading(obj)
        if reading is not None:
            number, calls = reading
            self.mentioned.update(self.recorder.since(calls))
            return {"clock": number}
        made = self.recorder.snapshots.argument(obj)
        self.mention(made)
        # A collection one of whose methods was handed over: what is in it came from there.
        self.seen = self.seen or (type(obj) in HELD and "$inst" in made)
        return {"v": made}

    def mention(self, value: Json) -> None:
        """Note the calls that a value refers to; an opaque value cannot be checked."""
        if isinstance(value, list):
            for item in value:
                self.mention(item)
        elif isinstance(value, dict):
            if "$opaque" in value:
                raise Inexpressible(value["$opaque"])
            if "$ref" in value:
                self.mentioned.add(value["$ref"])
            self.seen = self.seen or "$mock" in value
            self.subject = self.subject or str(value.get("$symbol", "")).split(":")[0].split(".")[0] in self.modules
            for item in value.values():
                self.mention(item)

    def tree(self, node: ast.expr) -> Json:
        """Return the tree of an expression.

        Raises:
            Inexpressible: it does something that a check cannot.
        """
        maker = getattr(self, "of_" + type(node).__name__, None)
        if maker is None:
            raise Inexpressible(type(node).__name__)
        return maker(node)

    def of_Constant(self, node: ast.Constant) -> Json:
        """Return a literal."""
        return self.value(node.value)

    def of_Name(self, node: ast.Name) -> Json:
        """Return what a name holds now."""
        for names in (self.locals, self.frame.f_globals, self.frame.f_builtins):
            if node.id in names:
                made = self.assigned(node, names[node.id])
                if made is not None:
                    return {"v": {"$ref": made}}
                return self.taken(node, names[node.id]) or self.value(names[node.id])
        raise Inexpressible(node.id)

    def taken(self, node: ast.Name, held: Any) -> Optional[Json]:
        """Return the tree of an attribute of a result that a name was given, where it still is what the name holds."""
        values = self.source.values_of(self.source.function(node), node.id)
        if len(values) != 1 or not isinstance(values[0], ast.Attribute) or not self.is_at(values[0], held):
            return None
        before = set(self.mentioned)
        with contextlib.suppress(Inexpressible):
            tree = self.tree(values[0])
            if "get" in tree and self.mentioned != before:
                return tree
        self.mentioned = before
        return None

    def is_at(self, node: ast.Attribute, held: Any) -> bool:
        """Say whether a dotted name leads to an object now, through attributes that are stored, and not computed."""
        chain = callsite.chain_of(node) or ("",)
        found: Any = self.locals.get(chain[0], self.frame.f_globals.get(chain[0]))
        for name in chain[1:]:
            found = stored_in(found).get(name, self)
        return found is held

    def assigned(self, node: ast.Name, held: Any) -> Optional[int]:
        """Return the call whose result a name was given, where that is a number or the like and still is held by it.

        Other objects are known by who they are.
        """
        recorder = self.recorder
        values = self.source.values_of(self.source.function(node), node.id)
        made: int = max((recorder.last_calls.get((id(self.frame), value), 0) for value in values), default=0)
        if not made or recorder.small.get(made, self) is not held:
            return None
        self.mentioned.add(made)
        return made

    def of_Await(self, node: ast.Await) -> Json:
        """Return what was awaited."""
        return self.tree(node.value)

    def of_Attribute(self, node: ast.Attribute) -> Json:
        """Return an attribute: of a module at once, of a result by a step that the replay takes."""
        chain = callsite.chain_of(node)
        found = module_attribute(chain, self.frame) if chain else None
        if found is not None:
            symbol = spelling(chain or (), self.frame)
            if (
                symbol
                and symbol.split(".")[0].split(":")[0] in self.recorder.modules
                and not isinstance(found[0], types.ModuleType)
            ):
                self.subject = True
                return {"read": symbol}
            return self.value(found[0])
        if isinstance(node.value, ast.Name):
            holder = self.locals.get(node.value.id)
            if type(holder).__name__ == "ExceptionInfo" and node.attr in ("value", "type"):
                return self.value(getattr(holder, node.attr))
        return {"get": self.tree(node.value), "a": node.attr}

    def of_Subscript(self, node: ast.Subscript) -> Json:
        """Return an item."""
        if isinstance(node.slice, ast.Slice):
            parts = [
                {"v": None} if part is None else self.tree(part)
                for part in (node.slice.lower, node.slice.upper, node.slice.step)
            ]
            return {"get": self.tree(node.value), "s": parts}
        return {"get": self.tree(node.value), "k": self.tree(node.slice)}

    def of_Compare(self, node: ast.Compare) -> Json:
        """Return a comparison, or a chain of them."""
        operands = [self.tree(operand) for operand in [node.left, *node.comparators]]
        pairs = [
            {"op": COMPARISONS[type(operator)], "args": [left, right]}
            for operator, left, right in zip(node.ops, operands, operands[1:])
        ]
        return pairs[0] if len(pairs) == 1 else {"op": "and", "args": pairs}

    def of_BoolOp(self, node: ast.BoolOp) -> Json:
        """Return a conjunction or disjunction."""
        return {
            "op": "and" if isinstance(node.op, ast.And) else "or",
            "args": [self.tree(value) for value in node.values],
        }

    def of_IfExp(self, node: ast.IfExp) -> Json:
        """Return a conditional expression."""
        return {"op": "if", "args": [self.tree(part) for part in (node.test, node.body, node.orelse)]}

    def of_UnaryOp(self, node: ast.UnaryOp) -> Json:
        """Return a negation."""
        names = {ast.Not: "not", ast.USub: "neg"}
        if type(node.op) not in names:
            raise Inexpressible(type(node.op).__name__)
        return {"op": names[type(node.op)], "args": [self.tree(node.operand)]}

    def of_BinOp(self, node: ast.BinOp) -> Json:
        """Return a sum or the like."""
        if type(node.op) not in ARITHMETIC:
            raise Inexpressible(type(node.op).__name__)
        return {"op": ARITHMETIC[type(node.op)], "args": [self.tree(node.left), self.tree(node.right)]}

    def of_List(self, node: ast.List) -> Json:
        """Return a display."""
        return {"op": type(node).__name__.lower(), "args": [self.tree(item) for item in node.elts]}

    of_Tuple = of_Set = of_List

    def of_Dict(self, node: ast.Dict) -> Json:
        """Return a display of a mapping."""
        pairs = [
            {"op": "tuple", "args": [self.tree(key), self.tree(value)]}
            for key, value in zip(node.keys, node.values)
            if key
        ]
        return {"op": "dict", "args": [{"op": "list", "args": pairs}]}

    def of_JoinedStr(self, node: ast.JoinedStr) -> Json:
        """Return an f-string without formats."""
        parts = []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                if part.format_spec is not None:
                    raise Inexpressible("a format")
                parts.append(
                    {"call": "repr" if part.conversion == ord("r") else "str", "args": [self.tree(part.value)]}
                )
            else:
                parts.append(self.tree(part))
        return {"op": "concat", "args": parts}

    def of_Call(self, node: ast.Call) -> Json:
        """Return the result of a recorded call, or an application of a function of the lists."""
        made = self.recorder.last_calls.get((id(self.frame), node))
        if made is not None:
            self.mentioned.add(made)
            return {"v": {"$ref": made}}
        with contextlib.suppress(Inexpressible):
            return self.value(self.literal(node))
        if any(isinstance(argument, ast.Starred) for argument in node.args) or any(
            k.arg is None for k in node.keywords
        ):
            raise Inexpressible("*arguments")
        chain = callsite.chain_of(node.func)
        found = module_attribute(chain, self.frame) if chain else None
        target = found[0] if found else None
        if chain == ("iter",) and len(node.args) != 1:
            raise Inexpressible("iter() with a function")
        if (
            chain
            and len(chain) == 1
            and chain[0] in FUNCTIONS
            and getattr(builtins, chain[0]) is self.frame.f_globals.get(chain[0], getattr(builtins, chain[0]))
        ):
            return {"call": chain[0], "args": self.plain(node)}
        name = getattr(target, "__name__", "")
        if getattr(target, "__module__", "") in ("posixpath", "genericpath", "os.path") and name in PATH_FUNCTIONS:
            return {"call": "os.path." + name, "args": self.plain(node)}
        if name == "listdir" and target is sys.modules["os"].listdir:
            return {"call": "os.listdir", "args": self.plain(node)}
        clock = clock_name(target)
        if clock is not None:
            return {"call": clock, "args": self.plain(node)}
        if isinstance(target, type) and target.__module__ == "pathlib":
            return {"call": "Path", "args": self.plain(node)}
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS | MOCK_CHECKS:
            keywords = {keyword.arg or "": self.tree(keyword.value) for keyword in node.keywords}
            return {
                "method": node.func.attr,
                "args": [self.tree(node.func.value), *[self.tree(a) for a in node.args]],
                "kwargs": keywords,
            }
        raise Inexpressible("a call of %s" % (".".join(chain) if chain else "something"))

    def literal(self, node: ast.expr) -> Any:
        """Return what an expression gives that makes a value of constants alone: ``date(2020, 1, 31)``."""
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Call) and all(keyword.arg for keyword in node.keywords):
            chain = callsite.chain_of(node.func)
            found = module_attribute(chain, self.frame) if chain else None
            if found is not None and (found[0] in STD_BY_TYPE or found[0] is textwrap.dedent):
                keywords = {keyword.arg or "": self.literal(keyword.value) for keyword in node.keywords}
                try:
                    return found[0](*[self.literal(argument) for argument in node.args], **keywords)
                except Exception as error:
                    raise Inexpressible(str(error)) from None
        if isinstance(node, ast.Name):
            held = self.locals.get(node.id, self)
            mine = self.source.values_of(self.source.function(node), node.id)
            if (
                type(held) is str
                and self.recorder.known.get(held) is None
                and not any(isinstance(value, (ast.Call, ast.Await)) for value in mine)
            ):
                return held
        if isinstance(node, ast.Attribute):
            found = module_attribute(callsite.chain_of(node) or ("",), self.frame)
            if found is not None and type(found[0]) in STD_BY_TYPE:
                return found[0]
        raise Inexpressible(type(node).__name__)

    def plain(self, node: ast.Call) -> List[Json]:
        """Return positional arguments; a function of the lists is applied to no others."""
        if node.keywords:
            raise Inexpressible("keywords")
        return [self.tree(argument) for argument in node.args]


def stored_in(obj: Any) -> Dict[str, Any]:
    """Return the attributes that an object stores by itself, without asking its class."""
    try:
        space = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        return {}
    return space if type(space) is dict else {}
