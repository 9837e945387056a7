"""A release's signatures as JSON data: what is written, and what it means once names are followed."""

from dataclasses import asdict
from typing import Any

from matrix.signatures import model
from matrix.signatures.callables import Signature, signature_of
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import Definition, ReleaseSource
from matrix.signatures.modules import Found


def release_data(release: ReleaseSource) -> dict[str, Any]:
    """Return one release: its modules with their definitions, signatures as callers see them, and inherited members."""
    names = Namespace(release)
    return {
        "version": release.version,
        "filename": release.filename,
        "sha256": release.sha256,
        "reason": release.reason,
        "requires": list(release.requires),
        "modules": {
            module: {
                "sha256": source.sha256,
                "error": source.error,
                "exports": None if source.exports is None else list(source.exports),
                "definitions": [_definition_data(names, module, one) for one in source.definitions],
            }
            for module, source in sorted(release.modules.items())
        },
    }


def _definition_data(names: Namespace, module: str, definition: Definition) -> dict[str, Any]:
    """Return what is not empty of a definition."""
    data = {name: value for name, value in asdict(definition).items() if value not in ((), None, False)}
    found = Found(module, definition)
    if definition.access:
        data["access"] = definition.access
    if definition.kind in {model.FUNCTION, model.LAMBDA, model.CLASS}:
        signature = signature_of(names, found)
        data["signature"] = str(signature) if isinstance(signature, Signature) else None
        data["unknown"] = None if isinstance(signature, Signature) else signature.reason
    if definition.kind == model.CLASS:
        order, gap = names.mro(found)
        data |= {"mro": [one.path for one in order], "mro_unknown": gap, "inherited": _inherited(names, order)}
    return data


def _inherited(names: Namespace, order: list[Found]) -> dict[str, str]:
    """Return where each member comes from that a class does not define itself."""
    own = {*_scope(names, order[0])}
    inherited: dict[str, str] = {}
    for owner in order[1:]:
        for name in _scope(names, owner):
            if name not in own:
                inherited.setdefault(name, owner.path)
    return dict(sorted(inherited.items()))


def _scope(names: Namespace, owner: Found) -> list[str]:
    if owner.definition is None or owner.module == "builtins":
        return []
    return list(names.scope(owner.module, owner.definition.qualname))
