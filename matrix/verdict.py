"""Recorded outcome and replayed outcome → a verdict. Pure: data in, data out (docs/verdicts.md)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matrix.compare import Json, differences, escaped, normal

OK, DIFFERS, CHANGED, RAISED, SHIFTED, UNREPLAYABLE = "ok", "differs", "changed", "raised", "shifted", "unreplayable"

# Keys of values that are objects: they are compared to tell, but only what was looked at in them counts.
OBJECTS = {"$obj", "$duck", "$exception", "$ref", "$symbol", "$bound", "$inst", "$opaque", "$mock"}

# What counts of what a call did around it; the rest is kept for the calls that follow.
EFFECTS = ("files", "env", "args")

Event = Mapping[str, Any]


# Characters of a value in a reason.
SHORT = 100


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, and the reason in words; ``ok`` needs none."""

    verdict: str
    detail: str = ""


def judge(
    call: Event, report: Event | None, masks: Collection[str] = (), failed: Sequence[Event] = (), *, whole: bool = False
) -> Judgement:
    """Return the verdict of one call on one release.

    ``report`` is what the agent says of it (None: nothing), ``masks`` are the paths that the baseline shows to be
    noise, ``failed`` the checks about its result that no longer hold, and ``whole`` says that the caller looked at
    the whole result in a way that no check expresses.
    """
    if report is None:
        return Judgement(UNREPLAYABLE, "the replay did not reach this call")
    if "verdict" in report:
        return Judgement(report["verdict"], report.get("detail", ""))
    found = outcome(call, report["outcome"], masks, whole=whole or call.get("usage") == "whole")
    if report.get("shifted"):
        return Judgement(SHIFTED, report["shifted"])
    if found.verdict == RAISED:
        return found
    if failed:
        return Judgement(CHANGED, f"the caller's check fails: {failed[0].get('detail', 'no longer true')}")
    effect = effects(call, report, masks) or warnings(call, report)
    return found if found.verdict == CHANGED or effect is None else effect


# What a call came to and what came of going on with it: the first of these.
WORST = (RAISED, CHANGED, UNREPLAYABLE, DIFFERS, OK)


def judge_steps(
    made: Judgement, call: Event, steps: Sequence[tuple[Event, Event]], masks: Collection[str], *, whole: bool
) -> Judgement:
    """Return the verdict of a call that was ``made``, with that of each time that its caller went on with it.

    ``steps`` are pairs of what was recorded and what was replayed: the next item of a generator, or the end of a
    context manager.
    """
    if made.verdict not in (OK, DIFFERS):
        return made
    found = [made]
    for number, (recorded, report) in enumerate(steps, 1):
        if "closed" in recorded["outcome"]:
            continue  # most are left to the garbage collector, and what they raise then nobody hears
        start = step_path(number, "")
        own = [mask.removeprefix(start) for mask in masks if mask.startswith(start)]
        step = {"tier": call["tier"], "usage": call.get("usage"), **recorded}
        one = judge(step, report, own, whole=whole)
        found.append(Judgement(one.verdict, f"going on: {one.detail}" if one.detail else ""))
    return min(found, key=lambda one: WORST.index(one.verdict))


def step_path(number: int, path: str) -> str:
    """Return the path of a field of the outcome or the effects of a step."""
    return f"steps/{number}/{path}"


def outcome(call: Event, replayed: Event, masks: Collection[str], *, whole: bool) -> Judgement:
    """Compare what a call gave."""
    recorded = call["outcome"]
    if "raise" in replayed or "raise" in recorded:
        return exceptions(call, recorded.get("raise"), replayed.get("raise"), masks)
    found = [path for path in differences(recorded, replayed, "outcome") if not masked(path, masks)]
    if not found:
        return Judgement(OK)
    how = next(iter(recorded))
    detail = difference(recorded.get(how), replayed.get(how), found)
    looked_at = whole and any(is_around(path, recorded, replayed) for path in found)
    if set(recorded) != set(replayed) or (looked_at and not unpacks_alike(recorded, replayed)):
        return Judgement(CHANGED, detail)
    return Judgement(DIFFERS, detail)


def is_around(path: str, recorded: Json, replayed: Json) -> bool:
    """Say whether a difference lies in the plain data around objects, and not within one of them.

    >>> list_of_things = [{"return": [{"$obj": "pkg:Thing", "state": {"a": number}}]} for number in (1, 2)]
    >>> is_around("outcome/return/0/state/a", *list_of_things)
    False
    >>> is_around("outcome/return", list_of_things[0], {"return": None})
    True
    """
    for step in path.split("/")[1:]:
        if is_object(recorded) and is_object(replayed):
            return False
        recorded, replayed = part_at(recorded, step), part_at(replayed, step)
    if is_object(recorded) and not is_object(replayed):
        return "data" not in recorded or recorded["data"] != replayed  # a number for an object that is this number
    return not is_object(recorded) or not is_object(replayed)


def is_object(value: Json) -> bool:
    """Say whether a value is an object, of which only what was looked at counts."""
    return isinstance(value, dict) and bool(OBJECTS & value.keys())


def part_at(value: Json, step: str) -> Json:
    """Return the part of a value that a step of a path leads to, None where there is none."""
    if isinstance(value, dict):
        return next((part for key, part in value.items() if escaped(normal(key)) == step), None)
    return value[int(step)] if isinstance(value, list) and int(step) < len(value) else None


def unpacks_alike(recorded: Event, replayed: Event) -> bool:
    """Say whether a tuple became a list of the same items: to a caller that unpacks it they are one."""
    left, right = recorded.get("return"), replayed.get("return")
    items = left.get("$tuple") if isinstance(left, dict) else None
    return items is not None and isinstance(right, list) and not list(differences(items, right))


def exceptions(call: Event, recorded: Event | None, replayed: Event | None, masks: Collection[str]) -> Judgement:
    """Compare what a call raised; another exception counts as the same where the caller was ready for it as well."""
    shown = f"{name(replayed)}: {text(replayed)}" if replayed is not None else "nothing"
    if recorded is None:
        return Judgement(RAISED, f"raises {shown}")
    if replayed is None:
        return Judgement(RAISED, f"raises nothing, the recording {name(recorded)}")
    if call.get("expect") and not replayed.get("expected"):
        return Judgement(RAISED, f"raises {shown}, which the caller does not expect")
    if recorded["type"] != replayed["type"] and not replayed.get("expected"):
        return Judgement(RAISED, f"raises {shown}, the recording {name(recorded)}")
    keys = ("type", "args", "str")
    left, right = ({key: raised[key] for key in keys if key in raised} for raised in (recorded, replayed))
    if [path for path in differences(left, right, "outcome/raise") if not masked(path, masks)]:
        return Judgement(DIFFERS, f"raises {shown}")
    return Judgement(OK)


def warnings(call: Event, report: Event) -> Judgement | None:
    """Compare the warnings that a caller awaits; None where there are as many of those as it needs."""
    recorded, replayed = call.get("warned", ()), report.get("warned", ())
    for index, awaited in enumerate(call.get("awaits", ())):
        before, now = ([one for one in shown if one["met"][index]] for shown in (recorded, replayed))
        if before and not now:
            return Judgement(CHANGED, "does not warn as the caller awaits")
        if awaited["all"] and [(one["type"], one["file"]) for one in before] != [
            (one["type"], one["file"]) for one in now
        ]:
            return Judgement(CHANGED, f"shows {len(now)} warnings, the recording {len(before)}, or others")
    return None


def effects(call: Event, report: Event, masks: Collection[str]) -> Judgement | None:
    """Compare what a call did around it; None where that is the same, or where it was not recorded."""
    if call["tier"] == "inner":
        return None
    recorded, replayed = ({key: made.get("effects", {}).get(key, {}) for key in EFFECTS} for made in (call, report))
    found = [path for path in differences(recorded, replayed, "effects") if not masked(path, masks)]
    if found:
        places = ", ".join(path.removeprefix("effects/").replace("~1", "/") for path in found[:3])
        # What lies in a temporary file of the release's own, under a name by chance, is out of the caller's sight.
        # And so is what an object in an argument keeps in itself: it counts where it is asked for.
        hidden = all("{random}" in path or is_kept(path, {"effects": recorded}) for path in found)
        return Judgement(DIFFERS if hidden else CHANGED, f"effects differ: {places}")
    if [stub["stub"] for stub in call.get("stubs", [])] != list(report.get("stubs", [])):
        return Judgement(CHANGED, "calls the caller's functions differently")
    return None


def is_kept(path: str, value: Json) -> bool:
    """Say whether a path leads into the state of an object."""
    for step in path.split("/"):
        if isinstance(value, dict) and "$obj" in value and step == "state":
            return True
        if isinstance(value, list):
            value = value[int(step)] if step.isdigit() and int(step) < len(value) else None
        else:
            value = value.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(value, dict) else None
    return False


def masked(path: str, masks: Collection[str]) -> bool:
    """Say whether a path, or one that it stands in, is masked."""
    return any(path == mask or path.startswith(mask + "/") for mask in masks)


def is_data(value: Json) -> bool:
    """Say whether a value is plain data through and through."""
    if isinstance(value, list):
        return all(is_data(item) for item in value)
    if isinstance(value, dict):
        return not OBJECTS & value.keys() and all(is_data(item) for item in value.values())
    return True


def difference(recorded: Json, replayed: Json, found: Sequence[str]) -> str:
    """Return in words how two results differ."""
    if is_data(recorded) and is_data(replayed):
        return f"gives {short(replayed)}, the recording {short(recorded)}"
    places = ", ".join(path.removeprefix("outcome/") for path in found[:3])
    return f"the result differs at {places}"


def name(raised: Event) -> str:
    """Return an exception's name."""
    return str(raised["type"].partition(":")[2])


def text(raised: Event) -> str:
    """Return an exception's text."""
    shown = raised.get("str", raised.get("shown", ""))
    return short(shown.get("$tmpl", "") if isinstance(shown, dict) else shown, quote=False)


def short(value: Json, *, quote: bool = True) -> str:
    """Return a value in at most ``SHORT`` characters."""
    if isinstance(value, dict) and "$tmpl" in value:
        value = value["$tmpl"]
    shown = repr(value) if quote or not isinstance(value, str) else value
    shown = " ".join(shown.split())
    return shown if len(shown) <= SHORT else shown[: SHORT - 3] + "..."
