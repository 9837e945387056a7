"""How copies of objects are made, by the name that a trace has for it."""

from __future__ import annotations

import copy
import io
import pickle
import sys
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

# What is unpickled is what was pickled in the same process, and nothing else.
COPIES: Dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "unpickle": pickle.loads,
}


class Pickles:
    """Pickles in a replay, where the caller's modules are not there: what they would hold is handed on as it is."""

    def __init__(self, modules: Tuple[str, ...]) -> None:
        """Make one for a subject of these modules; its own classes and functions must be found by their names."""
        self.modules = modules
        self.kept: List[Any] = []

    def dumps(self, obj: Any, protocol: Optional[int] = None) -> bytes:
        """Pickle an object."""
        data = io.BytesIO()
        pickler = Pickler(data, protocol)
        pickler.number = self.number
        pickler.dump(obj)
        return data.getvalue()

    def loads(self, data: bytes) -> Any:
        """Make the object of a pickle that was made here."""
        unpickler = Unpickler(io.BytesIO(data))
        unpickler.kept = self.kept
        return unpickler.load()

    def number(self, obj: Any) -> Optional[int]:
        """Return the number of a class or function that no module holds here; None for all else."""
        if not isinstance(obj, (type, types.FunctionType)) or obj.__module__.split(".")[0] in self.modules:
            return None
        if obj.__module__ in sys.modules:
            return None
        self.kept.append(obj)
        return len(self.kept) - 1


class Pickler(pickle.Pickler):
    """Asks which objects are handed on."""

    number: Callable[[Any], Optional[int]]

    def persistent_id(self, obj: Any) -> Optional[int]:
        """Return the number of what is handed on."""
        return self.number(obj)


class Unpickler(pickle.Unpickler):
    """Takes what was handed on."""

    kept: List[Any]

    def persistent_load(self, pid: int) -> Any:
        """Return what was handed on under a number."""
        return self.kept[pid]
