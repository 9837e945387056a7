"""What there is to see of a function of the caller's: its parameters, and whether it asks for them."""

from __future__ import annotations

import inspect
import types
from typing import Any, Dict, List

from . import probes
from .values import Json


def shape(function: types.FunctionType, encode: Any) -> Dict[str, Json]:
    """Return what a stub needs to look like a function of the caller's."""
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    flags = code.co_flags
    kind = "function"
    for flag, name in (
        (inspect.CO_COROUTINE, "coroutine"),
        (inspect.CO_ASYNC_GENERATOR, "asyncgen"),
        (inspect.CO_GENERATOR, "generator"),
    ):
        if flags & flag:
            kind = name
    names = list(code.co_varnames[: count + bool(flags & inspect.CO_VARARGS) + bool(flags & inspect.CO_VARKEYWORDS)])
    made: Dict[str, Json] = {
        "name": function.__name__,
        "kind": kind,
        "names": names,
        "posonly": code.co_posonlyargcount,
        "positional": code.co_argcount,
        "kwonly": code.co_kwonlyargcount,
        "varargs": bool(flags & inspect.CO_VARARGS),
        "varkw": bool(flags & inspect.CO_VARKEYWORDS),
        "constant": is_constant(code, names),
    }
    made["file"], made["line"] = encode(code.co_filename, 0), code.co_firstlineno
    if function.__defaults__:
        made["defaults"] = [encode(value, 0) for value in function.__defaults__]
    if function.__kwdefaults__:
        made["kwdefaults"] = {name: encode(value, 0) for name, value in function.__kwdefaults__.items()}
    return made


def is_constant(code: types.CodeType, names: List[str]) -> bool:
    """Say whether a body never reads its parameters: then what it gives does not depend on them."""
    import dis

    probed = 0
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_NAME") and instruction.argval == probes.ENTER:
            probed = len(names) + 1
        elif probed and instruction.opname.startswith("LOAD_"):
            probed -= instruction.opname.count("LOAD_")
        elif instruction.opname.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE")):
            read = instruction.argval if isinstance(instruction.argval, tuple) else (instruction.argval,)
            if not set(names).isdisjoint(read):
                return False
    return True
