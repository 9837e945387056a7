"""The suite's files in a working folder, as they are or so that imports may fail."""

import ast
import shutil
import threading
from pathlib import Path

PLACEHOLDERS = "caliper_placeholders"  # a module that is made inside the environment
# Two threads that build syntax trees at once are an error in Python 3.11.
PARSING = threading.Lock()
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def copy_suite(source: Path, folder: Path, *, tolerant: bool = False) -> None:
    """Copy the suite's files from ``source`` to ``folder``, with imports that may fail if ``tolerant``."""
    shutil.copytree(source, folder, ignore=IGNORED)
    if tolerant:
        for file in folder.rglob("*.py"):
            with PARSING:
                file.write_text(tolerate_imports(file.read_text()))


def tolerate_imports(source: str) -> str:
    """Return a test file's source in which what the top level can't import is a placeholder that raises when used.

    Only statements that have their lines for themselves are rewritten.
    """
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if not isinstance(node, ast.Import | ast.ImportFrom) or is_future(node):
            continue
        end = node.end_lineno or node.lineno
        if ast.unparse(ast.parse("\n".join(lines[node.lineno - 1 : end]))) == ast.unparse(node):
            lines[node.lineno - 1 : end] = [line for name in node.names for line in tolerate_name(node, name)]
    return "\n".join(lines) + "\n"


def is_future(node: ast.Import | ast.ImportFrom) -> bool:
    """Tell whether it is an import that must stay where and as it is."""
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def tolerate_name(node: ast.Import | ast.ImportFrom, name: ast.alias) -> list[str]:
    """Return the lines that import one name, or bind a placeholder to it."""
    if isinstance(node, ast.Import):
        alone: ast.stmt = ast.Import([name])
        origin, bound = name.name, name.asname or name.name.partition(".")[0]
    else:
        alone = ast.ImportFrom(node.module, [name], node.level)
        origin, bound = f"{'.' * node.level}{node.module or ''}.{name.name}", name.asname or name.name
    lines = ["try:", f"    {ast.unparse(alone)}", "except Exception as _error:"]
    if name.name == "*":
        return [*lines, "    pass"]
    return [
        *lines,
        f"    from {PLACEHOLDERS} import Placeholder as _Placeholder",
        f"    globals().setdefault({bound!r}, _Placeholder({origin!r}, _error))",
    ]
