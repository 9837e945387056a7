"""What became of one function from release to release."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from matrix.diff import Change, parameter_changes
from matrix.errors import CaliperError
from matrix.signatures.callables import Signature, signature_of
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import Definition, ReleaseSource
from matrix.signatures.modules import Answer, Found, Missing


class NoSuchFunctionError(CaliperError):
    """No release has anything by that name."""

    def __init__(self, path: str) -> None:
        """Keep the name."""
        super().__init__(f"no release has {path}: give a definition path such as oras.provider.Registry.push")
        self.path = path


@dataclass(frozen=True, slots=True)
class State:
    """What a release has by a path: ``signature`` and ``definition`` are None where reading does not tell."""

    release: str
    place: str | None
    signature: Signature | None = None
    definition: Definition | None = None
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A release in which something about the function changed, in words, with what replay says of it there."""

    release: str
    changes: tuple[str, ...]
    signature: str | None
    verdict: str | None = None


def history(
    path: str,
    releases: Sequence[ReleaseSource],
    verdicts: Mapping[str, str] | None = None,
    listing: Callable[[ReleaseSource], bool] = lambda release: release.reason is None,
) -> list[Entry]:
    """Return the releases in which signature, decorators, body or place of a function changed, oldest first.

    Releases that could not be read are passed over.

    Raises:
        NoSuchFunctionError: no release has it.
    """
    states = [state_of(path, Namespace(release)) for release in releases if listing(release)]
    if all(state.place is None and state.unknown is None for state in states):
        raise NoSuchFunctionError(path)
    entries = []
    before = State("", None)
    for state in states:
        changes = changes_between(before, state)
        if changes:
            shown = None if state.signature is None else str(state.signature)
            entries.append(Entry(state.release, tuple(changes), shown, (verdicts or {}).get(state.release)))
        before = state
    return entries


def state_of(path: str, names: Namespace) -> State:
    """Return what one release has by a path."""
    answer: Answer = names.resolve(path)
    version = names.release.version
    if isinstance(answer, Missing):
        return State(version, None)
    if not isinstance(answer, Found):
        return State(version, None, unknown=getattr(answer, "reason", str(answer)))
    signature = signature_of(names, answer)
    known = signature if isinstance(signature, Signature) else None
    unknown = None if isinstance(signature, Signature) else signature.reason
    return State(version, answer.path, known, answer.definition, unknown)


def changes_between(before: State, after: State) -> list[str]:
    """Return in words how a function differs from what it was in the release before."""
    if after.place is None:
        return (
            ["unknown: " + after.unknown] if after.unknown and not before.unknown else ["gone"] if before.place else []
        )
    if before.place is None:
        return [f"there, as {after.place}"]
    changes = [] if before.place == after.place else [f"moved from {before.place} to {after.place}"]
    changes += _signature_changes(before, after)
    old, new = before.definition, after.definition
    if old is None or new is None:
        return changes
    if old.decorators != new.decorators:
        changes.append(f"decorators: {_shown(old)} is now {_shown(new)}")
    if old.is_async != new.is_async:
        changes.append("became async" if new.is_async else "is no longer async")
    if (old.access, old.kind) != (new.access, new.kind):
        same = old.access == new.access
        changes.append(f"was {_kind(old, plain=same)}, is {_kind(new, plain=same)}")
    if old.body != new.body:
        changes.append("body")
    return changes


def _signature_changes(before: State, after: State) -> list[str]:
    if before.signature is None or after.signature is None:
        same = before.unknown == after.unknown and (before.signature is None) == (after.signature is None)
        return [] if same else [after.unknown or "signature known again"]
    found: list[Change] = parameter_changes("", before.signature.parameters, after.signature.parameters)
    return [f"{change.kind}: {change.detail}" for change in found]


def _kind(definition: Definition, *, plain: bool) -> str:
    return definition.kind if plain else definition.access or definition.kind


def _shown(definition: Definition) -> str:
    return " ".join(f"@{source}" for source in definition.decorators) or "none"
