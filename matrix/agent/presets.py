"""Sets what the subject file presets, each right after its module was imported."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Dict, List, Tuple


def set_presets(job: Dict[str, Any]) -> None:
    """Set what the subject file presets, each right after its module was imported."""
    util: Any = importlib.import_module("importlib.util")
    waiting: Dict[str, List[Tuple[str, Any]]] = {}
    for after, target, value in job["presets"]:
        waiting.setdefault(after, []).append((target, value))

    class Finder:
        """Loads a module as usual and sets its presets."""

        @staticmethod
        def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
            """Return the usual spec with a loader that sets the presets."""
            if name not in waiting:
                return None
            mine = waiting.pop(name)
            spec = util.find_spec(name)
            if spec is None or spec.loader is None:
                return spec
            execute = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                execute(module)
                for where, value in mine:
                    preset(where, value)

            spec.loader.exec_module = exec_module
            return spec

    sys.meta_path.insert(0, Finder)


def preset(target: str, value: Any) -> None:
    """Set ``module:attribute`` where it is there; a release that lacks it is left as it is."""
    module, _, name = target.partition(":")
    if hasattr(sys.modules.get(module), name):
        setattr(sys.modules[module], name, value)
