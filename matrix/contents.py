"""What a trace would give away: contents, variables, and texts that look like secrets."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from matrix.agent.contents import content_of
from matrix.trace import Event, Trace

Json = Any
# What is a secret wherever it stands, by its form; and names whose values are.
FORMS = {
    "a private key": re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a token of GitHub": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}|\bgithub_pat_\w{22,}"),
    "a key of AWS": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a token of Slack": re.compile(r"\bxox[abpr]-[\w-]{10,}"),
    "a JSON web token": re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}"),
    "credentials in an address": re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@{}]+:[^\s/@{}]+@"),
    "an Authorization header": re.compile(r"\b(?:Basic|Bearer) [A-Za-z0-9+/=._~-]{8,}"),
}
NAMES = re.compile(r"passw|secret|token|api_?key|authorization|credential", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Contents:
    """Contents by size as (bytes, a name that it was seen under, digest), variables, secrets as (where, what)."""

    contents: tuple[tuple[int, str, str], ...]
    variables: tuple[str, ...]
    secrets: tuple[tuple[str, str], ...]


def look_through(trace: Trace) -> Contents:
    """Return what a trace would give away; texts that only look like secrets are for people to judge."""
    names: dict[str, str] = {}
    variables: set[str] = set()
    for event in trace.events:
        for changes in (event.get("changes") if event["e"] == "files" else None, event.get("effects", {}).get("files")):
            names.update(
                {entry[1]: name for name, entry in (changes or {}).items() if entry and len(entry) > len(("link", ""))}
            )
        for changes in (event.get("changes") if event["e"] == "env" else None, event.get("effects", {}).get("env")):
            variables.update(changes or {})
    sizes = [(len(data), names.get(digest, ""), digest) for digest, data in trace.blobs.items()]
    kept = [line for line in trace.definitions if line["def"] == "content"]
    sizes += [(len(content_of(line)), "held by a service", line["id"]) for line in kept]
    return Contents(
        tuple(sorted(sizes, reverse=True)), tuple(sorted(variables)), tuple(dict.fromkeys(secrets(trace, names)))
    )


def secrets(trace: Trace, names: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Yield (where, what) of texts that look like secrets."""
    for line in trace.definitions:
        if line["def"] != "content":
            yield from suspicious(f"the {line['def']} {line['id']}", line)
    for event in trace.events:
        yield from suspicious(title(event), event)
    for digest, data in trace.blobs.items():
        text = data.decode("utf-8", "replace")
        yield from (
            (names.get(digest) or f"the content {digest[:16]}", kind)
            for kind, form in FORMS.items()
            if form.search(text)
        )


def title(event: Event) -> str:
    """Return which event is meant."""
    return f"call {event['id']} of {event['function']}" if event["e"] == "call" else f"an event {event['e']}"


def suspicious(where: str, value: Json, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield (where, what) of a value and what is in it; ``name`` is what it is called there."""
    if isinstance(value, dict):
        # An argument has its name beside its value.
        named = value.get("name") if isinstance(value.get("name"), str) and "value" in value else ""
        for key, item in value.items():
            yield from suspicious(
                where, item, named if key == "value" and named else name if key.startswith("$") else key
            )
    elif isinstance(value, list):
        for item in value:
            yield from suspicious(where, item, name)
    elif isinstance(value, str) and value:
        yield from ((where, kind) for kind, form in FORMS.items() if form.search(value))
        if NAMES.search(name) and not value.startswith(("{", "http")) and not set(value) <= set("*x"):
            yield where, f"something called {name}"
