"""What a trace may name and call besides the subject: data types of the standard library, none of its doings.

A trace is data that may lie. What the subject imports, and what its objects lead to (``__globals__``, ``__loader__``),
is within its reach by attributes and items, so what it leads to is looked at before it is called or handed on.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any

STANDARD = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
# Modules whose functions and classes a trace may name: data types and pure functions of the standard library.
DATA_MODULES = {
    "abc", "argparse", "array", "ast", "asyncio", "collections", "collections.abc", "contextlib", "copy", "dataclasses",
    "datetime", "decimal", "enum", "fractions", "functools", "inspect", "io", "itertools", "json", "logging", "math",
    "numbers", "operator", "pathlib", "re", "string", "textwrap", "time", "types",
    "typing", "unittest.mock", "uuid", "warnings", "zoneinfo",
}  # fmt: skip
# Classes of other modules that are as harmless.
DATA_TYPES = {"os:PathLike"}
UNSAFE = {
    "eval",
    "exec",
    "compile",
    "open",
    "__import__",
    "input",
    "breakpoint",
    "exit",
    "quit",
    "globals",
    "setattr",
    "delattr",
    "vars",
}


def allowed(module: str, name: str, imports: Any) -> bool:
    """Say whether a trace may name ``module:name``: a data type, or a module that the suite imports and patches."""
    if module == "builtins":
        return name not in UNSAFE
    if "%s:%s" % (module, name) in DATA_TYPES:
        return True
    return module in DATA_MODULES or (not name and module in imports)


METHODS = (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)
# Methods of objects are within reach, whosever they are; these objects run or write what they are told.
DOERS = ("importlib", "_frozen_importlib", "_frozen_importlib_external", "zipimport", "subprocess", "ctypes", "code")


def usable(found: Any) -> bool:
    """Say whether a trace may call an object, or hand it on."""
    holder = getattr(found, "__self__", None)
    if isinstance(found, METHODS) and holder is not None and not isinstance(holder, types.ModuleType):
        kind = holder if isinstance(holder, type) else type(holder)
        return str(kind.__module__).split(".")[0] not in DOERS
    if not isinstance(found, (types.FunctionType, types.BuiltinFunctionType, type)):
        return True
    module, name = str(found.__module__), found.__name__
    if isinstance(found, types.FunctionType) and module.startswith(("_caliper_agent.", "__main__")):
        return False
    return not is_standard(module) or (name != "open" and allowed(module.lstrip("_"), name, ()))


def is_standard(module: str) -> bool:
    """Say whether a module is the standard library's."""
    found = sys.modules.get(module)
    if getattr(getattr(found, "__spec__", None), "origin", "") in ("built-in", "frozen"):
        return True
    file = str(getattr(found, "__file__", None) or "")
    return file.startswith(STANDARD) and "-packages" not in file
