"""Spells events and values of a trace as people write them."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from matrix.trace import Event

Json = Any
LONGEST = 60


def spell_event(event: Event) -> Iterator[str]:
    """Yield the lines of one event."""
    kind = event["e"]
    if kind == "call":
        yield from spell_call(event)
    elif kind == "next":
        yield f"next of call {event['call']}{spell_outcome(event['outcome'])}"
    elif kind == "check":
        about = ", ".join(f"#{call}" for call in event["calls"])
        yield f"check of {about}: " + (
            spell_tree(event["tree"]) if "tree" in event else f"looked at whole ({event['why']})"
        )
    elif kind in ("files", "env"):
        yield from (f"{kind}: {change}" for change in spell_changes(event["changes"]))
    elif kind == "patch":
        how = "put back" if event.get("undo") else "deleted" if event.get("deleted") else f"= {spell(event['value'])}"
        yield f"patch {spell(event['target'])}.{event['name']} {how}"
    else:
        facts = " ".join(f"{key}={value}" for key, value in event.items() if key != "e")
        yield f"{kind}: {facts}"


def spell_call(call: Event, indent: str = "") -> Iterator[str]:
    """Yield the lines of a call: how it was made, what it gave, what it did."""
    access = call["access"]
    on = (
        f"{spell(access['receiver'])}.{access['name']}"
        if "receiver" in access
        else access.get("path") or call["function"]
    )
    arguments = ", ".join(spell_argument(argument) for argument in call["args"])
    inner = "inner " if call["tier"] == "inner" else ""
    yield f"{indent}#{call['id']} {inner}{on}({arguments}){spell_outcome(call['outcome'])}"
    for entry in call.get("stubs", ()):
        given = ", ".join(f"{name}={spell(value)}" for name, value in entry["values"].items())
        yield f"{indent}    calls back stub {entry['stub']}({given}){spell_outcome(entry.get('outcome', {}))}"
        for event in entry.get("events", ()):
            yield from (f"{indent}        {line}" for line in spell_event(event))
    effects = call.get("effects", {})
    for kind in ("files", "env"):
        yield from (f"{indent}    {kind}: {change}" for change in spell_changes(effects.get(kind, {})))


def spell_argument(argument: Json) -> str:
    """Return an argument; one that was not given stands in brackets."""
    value = spell(argument["value"])
    forms = {
        "positional": value,
        "keyword": f"{argument['name']}={value}",
        "defaulted": f"[{argument['name']}={value}]",
    }
    return forms.get(argument["form"], f"{argument['name']}?={value}")


def spell_outcome(outcome: Json) -> str:
    """Return what a call gave."""
    if "raise" in outcome:
        raised = outcome["raise"]
        return f" raises {raised['type'].partition(':')[2]}({', '.join(map(spell, raised['args']))})"
    if "closed" in outcome:
        return " closed"
    return "".join(f" {'yields' if how == 'yield' else '->'} {spell(value)}" for how, value in outcome.items())


def spell_changes(changes: Json) -> Iterator[str]:
    """Yield changes of files or variables."""
    for name, entry in changes.items():
        yield (
            f"{name} gone"
            if entry is None
            else f"{name} {entry[0]}"
            if isinstance(entry, list)
            else f"{name}={spell(entry)}"
        )


def spell_tree(tree: Json) -> str:
    """Return a check as an expression."""
    if "v" in tree:
        return spell(tree["v"])
    if "read" in tree:
        return str(tree["read"])
    if "get" in tree:
        inner = spell_tree(tree["get"])
        parts = [spell_tree(part) for part in tree.get("s", ())]
        return f"{inner}.{tree['a']}" if "a" in tree else f"{inner}[{':'.join(parts) or spell_tree(tree['k'])}]"
    arguments = [spell_tree(part) for part in tree["args"]]
    if "op" in tree:
        return f" {tree['op']} ".join(arguments) if len(arguments) > 1 else f"{tree['op']} {''.join(arguments)}"
    named = [f"{name}={spell_tree(part)}" for name, part in tree.get("kwargs", {}).items()]
    if "method" in tree:
        return f"{arguments[0]}.{tree['method']}({', '.join(arguments[1:] + named)})"
    return f"{tree['call']}({', '.join(arguments)})"


def spell(value: Json) -> str:
    """Return a value, shortened."""
    text = spelled(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def spelled(value: Json) -> str:
    """Return a value as an expression."""
    if isinstance(value, list):
        return f"[{', '.join(map(spell, value))}]"
    if not isinstance(value, dict):
        return json.dumps(value) if isinstance(value, str) else str(value)
    kind = next((key for key in value if key.startswith("$")), "")
    if not kind:
        return "{" + ", ".join(f"{key}: {spell(item)}" for key, item in value.items()) + "}"
    return SPELLERS.get(kind, spell_other)(kind, value)


def spell_other(kind: str, value: Json) -> str:
    """Return what is only named."""
    held = value[kind]
    return f"<{kind[1:]} {held}>" if isinstance(held, (str, int)) else f"<{kind[1:]}>"


def spell_reference(kind: str, value: Json) -> str:
    """Return a reference with its path."""
    steps = (f".{key}" if how == "a" else f"[{key!r}]" for how, key in value.get("path", ()))
    return f"#{value[kind]}{''.join(steps)}"


def spell_items(kind: str, value: Json) -> str:
    """Return a collection."""
    return f"{kind[1:]}({', '.join(map(spell, value[kind]))})"


def spell_made(kind: str, value: Json) -> str:
    """Return an object by what it is constructed of."""
    items = [spell_argument(item) if kind == "$new" else spell(item) for item in value["args"]]
    return f"{value.get('type', value[kind])}({', '.join(items)})"


SPELLERS: dict[str, Callable[[str, Json], str]] = {
    "$ref": spell_reference,
    "$tmpl": lambda kind, value: json.dumps(value[kind]),
    "$symbol": lambda kind, value: str(value[kind]),
    "$float": lambda kind, value: str(value[kind]),
    "$bound": lambda kind, value: f"{spell(value['on'])}.{value[kind]}",
    **dict.fromkeys(("$tuple", "$set", "$frozenset", "$join", "$dict"), spell_items),
    **dict.fromkeys(("$std", "$make", "$new"), spell_made),
}
