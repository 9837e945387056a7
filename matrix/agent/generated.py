"""Functions that are generated from text: they get probes where their text is compiled or executed.

Where the subject does that, a probe hands us the text. Of the standard library, ``dataclasses`` executes the text of
``__init__``, ``collections`` evaluates that of a named tuple's ``__new__``. The names ``exec`` and ``eval`` of these
two modules are ours, so that no frame and no wrapper stands in front of what they make.
"""

from __future__ import annotations

import ast
import builtins
import collections
import sys
import types
from typing import Any, Dict, Optional

from . import probes


def install(definitions: Any) -> None:
    """Put the probes into what is generated for the subject's modules from now on."""
    import dataclasses

    def execute(source: Any, space: Dict[str, Any], names: Optional[Dict[str, Any]] = None) -> None:
        builtins.exec(definitions.guess(of_dataclass, source, space) or source, space, names)

    def evaluate(source: Any, space: Dict[str, Any]) -> Any:
        return builtins.eval(definitions.guess(of_namedtuple, source, space) or source, space)

    vars(dataclasses)["exec"] = execute
    vars(collections)["eval"] = evaluate


# The scope of functions that the subject makes of text.
GENERATED = "<generated>"


def texts(definitions: Any) -> Any:
    """Return the probe that is asked for the text that the subject compiles or executes."""

    def text(function: Any, source: Any, module: str) -> Any:
        if type(source) is not str or function not in (compile, exec):
            return source
        return definitions.guess(of_text, source, module, function is exec) or source

    return text


def of_text(definitions: Any, source: str, module: str, executed: bool) -> Any:
    """Return the tree of a text with probes in its functions, or its code; None where there are none."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    if not any(isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) for node in tree.body):
        return None
    rewriter = probes.Rewriter(module, definitions.definer(False), False, "<string>")
    rewriter.scope = [GENERATED]
    tree = rewriter.visit(tree)
    return compile(tree, "<string>", "exec", dont_inherit=True) if executed else tree


def caller(module: str, name: str) -> Optional[types.FrameType]:
    """Return the frame of a function of the standard library that is under way, or None."""
    frame: Optional[types.FrameType] = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == name and frame.f_globals.get("__name__") == module:
            return frame
        frame = frame.f_back
    return None


def of_dataclass(definitions: Any, source: str, space: Dict[str, Any]) -> Any:
    """Return the code of a dataclass's constructor with probes, or None for another method or another's class."""
    frame = caller("dataclasses", "_process_class")
    cls = frame.f_locals.get("cls") if frame is not None else None
    if not isinstance(cls, type) or not definitions.whose.is_subjects(cls.__module__) or "def __init__(" not in source:
        return None
    rewriter = probes.Rewriter(cls.__module__, definitions.definer(False), False, "<string>")
    rewriter.scope = cls.__qualname__.split(".")
    tree = Constructors(rewriter).visit(ast.parse(source))
    return compile(tree, "<string>", "exec", dont_inherit=True)


def of_namedtuple(definitions: Any, source: str, space: Dict[str, Any]) -> Any:
    """Return the code of a named tuple's constructor with probes, or None for another's class."""
    frame = caller("collections", "namedtuple")
    if frame is None or not isinstance(source, str):
        return None
    module, above = frame.f_locals.get("module"), frame.f_back
    if module is None and above is not None:
        module = above.f_globals.get("__name__")
    if module is None or not definitions.whose.is_subjects(module):
        return None
    name = "%s.__new__" % frame.f_locals["typename"]
    define = definitions.definer(False)
    rewriter = probes.Rewriter(
        module, lambda node, module, _, kind: define(node, module, name, kind), False, "<string>"
    )
    tree = rewriter.visit(ast.parse(source, mode="eval"))
    # It is evaluated without builtins.
    space.update((key, value) for key, value in vars(builtins).items() if key.startswith("@"))
    return compile(tree, "<string>", "eval", dont_inherit=True)


class Constructors(ast.NodeTransformer):
    """Lets a rewriter have the constructors of a tree, and nothing else."""

    def __init__(self, rewriter: probes.Rewriter) -> None:
        """Hand them to ``rewriter``."""
        self.rewriter = rewriter

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Rewrite a constructor; look for one in any other function."""
        return self.rewriter.visit_FunctionDef(node) if node.name == "__init__" else self.generic_visit(node)
