"""How copies of objects are made, by the name that a trace has for it."""

from __future__ import annotations

import copy
import pickle
from typing import Any, Callable, Dict

# What is unpickled is what was pickled in the same process, and nothing else.
COPIES: Dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": pickle.dumps,
    "unpickle": pickle.loads,
}
