"""What becomes of each recorded call on each release, told by reading alone: nothing is run or imported."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from matrix.rows import OK, CallRow
from matrix.signatures.binding import Argument, bind, read_arguments
from matrix.signatures.callables import Signature, signature_of
from matrix.signatures.lookup import Namespace
from matrix.signatures.model import CLASS, FUNCTION, LAMBDA, ReleaseSource
from matrix.signatures.modules import Answer, Found, ImportFails, Missing, Unknown

Event = Mapping[str, Any]
MISSING, IMPORT_ERROR, UNKNOWN = "missing", "import-error", "unknown"
# What a prediction may be, worst first; these and no others mean "does not work".
NEGATIVE = (IMPORT_ERROR, MISSING, "signature", "shifted")
ORDER = {name: place for place, name in enumerate((*NEGATIVE, OK, UNKNOWN))}
# How far a release's own calls are followed: what those call in turn is behind conditions that reading cannot tell.
REACH = 3


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded call: where in the trace, and its event."""

    profile: str
    test: str
    event: Event
    arguments: tuple[Argument, ...]
    needs: tuple[str, ...]

    @classmethod
    def of(cls, profile: str, test: str, event: Event) -> Self:
        """Take from a call event what is the same for every release: argument forms, and paths that objects need."""
        arguments = event.get("args", ())
        values = [event.get("access", {}).get("receiver"), *(one.get("value") for one in arguments)]
        return cls(profile, test, event, read_arguments(arguments), tuple(dict.fromkeys(needed(values))))

    @property
    def function(self) -> str:
        """Its definition path on the recorded release."""
        return str(self.event["function"])


def recorded_calls(profile: str, events: Iterable[Event]) -> list[Recorded]:
    """Return the calls of a trace, each with the test that made it; calls that stubs made in turn are among them."""
    calls, test = [], ""
    for event in events:
        if event["e"] == "test":
            test = str(event["id"])
        elif event["e"] == "call":
            calls.append(Recorded.of(profile, test, event))
    return calls


def predict(release: ReleaseSource, calls: Sequence[Recorded], also: tuple[str, ...] = ()) -> list[CallRow]:
    """Return a row per call, with one verdict more than replay has: ``unknown``, with the reason.

    ``also`` are distributions that lie beside the release when it is judged, without being declared by it.
    """
    predictor = Predictor(Namespace(release, also))
    rows = []
    for call in calls:
        verdict, detail = predictor.judge(call)
        event = call.event
        rows.append(
            CallRow(
                release.version,
                call.profile,
                call.test,
                int(event["id"]),
                str(event["tier"]),
                call.function,
                verdict,
                detail,
            )
        )
    return rows


def cells(rows: Iterable[CallRow]) -> dict[tuple[str, str], tuple[str, str]]:
    """Return verdict and reason for each function and release: the worst of its calls, as the matrix has it.

    A call whose outcome is unknown counts only where nothing is known of any. Inner calls of a function that is also
    called from outside do not count.
    """
    listed = list(rows)
    boundary = {row.function for row in listed if row.tier == "boundary"}
    worst: dict[tuple[str, str], tuple[str, str]] = {}
    for row in listed:
        if row.tier == "inner" and row.function in boundary:
            continue
        key = row.function, row.release
        if key not in worst or ORDER[row.verdict] < ORDER[worst[key][0]]:
            worst[key] = row.verdict, row.detail
    return worst


def needed(value: Any) -> Iterator[str]:  # noqa: ANN401 # any JSON
    """Yield the paths that making a recorded value starts from; what an object's state holds can be left out."""
    if isinstance(value, list):
        for item in value:
            yield from needed(item)
    elif isinstance(value, Mapping):
        for kind in ("$symbol", "$new", "$make"):
            if isinstance(value.get(kind), str):
                yield value[kind]
        for name, item in value.items():
            if name != "state":
                yield from needed(item)


@dataclass(slots=True)
class Predictor:
    """Judges the calls of a trace in their order: what an earlier call made is what a later one is made on."""

    names: Namespace
    made: dict[tuple[str, int], Answer] = field(default_factory=dict)
    reached: dict[str, str | None] = field(default_factory=dict)
    looked_up: dict[str, Answer] = field(default_factory=dict)
    signatures: dict[tuple[Found, bool], Signature | Unknown] = field(default_factory=dict)

    def judge(self, call: Recorded) -> tuple[str, str]:
        """Return verdict and reason."""
        if self.names.release.reason:
            return UNKNOWN, self.names.release.reason
        target = self.place(call)
        if isinstance(target, ImportFails):
            return IMPORT_ERROR, f"{target.importer} imports {target.module}, which it does not declare"
        if isinstance(target, Missing):
            return MISSING, f"no {target.path}"
        if isinstance(target, Unknown):
            return UNKNOWN, target.reason
        return self.bound(call, target)

    def place(self, call: Recorded) -> Answer:
        """Find what the call reaches, and remember what it makes."""
        target = self.target(call)
        if call.event.get("kind") == "constructor":
            self.made[call.profile, int(call.event["id"])] = target
        return target

    def bound(self, call: Recorded, target: Found) -> tuple[str, str]:
        """Bind the arguments to what was found, and look at what it calls in turn."""
        kind = call.event.get("kind")
        if kind == "property":
            return OK, ""  # reading an attribute takes no arguments
        access = call.event.get("access", {})
        on_class = kind != "classmethod" and "path" in access and target.owner is not None
        signature = self.signature(target, on_class=on_class)
        if not isinstance(signature, Signature):
            return UNKNOWN, signature.reason
        binding = bind(signature.parameters, call.arguments)
        if binding.verdict != OK:
            return binding.verdict, f"{target.path}{signature}: {binding.detail}"
        lacking = self.reach(target, REACH)
        return (MISSING, f"{target.path} calls {lacking}, which is not there") if lacking else (OK, "")

    def signature(self, target: Found, *, on_class: bool) -> Signature | Unknown:
        """Return the signature of what is called, worked out once."""
        key = target, on_class
        if key not in self.signatures:
            self.signatures[key] = signature_of(self.names, target, on_class=on_class)
        return self.signatures[key]

    # What is called

    def target(self, call: Recorded) -> Answer:
        """Find what the caller's spelling leads to in this release."""
        access = call.event.get("access", {})
        if isinstance(access.get("path"), str):
            found = self.lookup(access["path"])
            return (self.lacking(call) or found) if isinstance(found, Found) else found
        if isinstance(access.get("class"), str):
            return self.on(self.lookup(access["class"]), str(access.get("name", "__init__")))
        if isinstance(access.get("class"), Mapping) and "$symbol" in access["class"]:
            return self.lookup(str(access["class"]["$symbol"]))
        lacking = self.lacking(call)
        if lacking:
            return lacking
        if "receiver" in access:
            holder = self.holder(call.profile, access["receiver"])
            if holder is not None:
                return self.on(holder, str(access["name"]))
        return self.definition(call.event)

    def lookup(self, path: str) -> Answer:
        """Find a path, or the reason why the module that it begins with cannot be imported."""
        if path not in self.looked_up:
            self.looked_up[path] = self._lookup(path)
        return self.looked_up[path]

    def _lookup(self, path: str) -> Answer:
        module = path.partition(":")[0]
        while module and module not in self.names.release.modules:
            module = module.rpartition(".")[0]
        failure = self.names.import_failure(module) if module else None
        return failure or self.names.resolve(path)

    def lacking(self, call: Recorded) -> Missing | ImportFails | None:
        """Return the first class or object that a receiver or an argument needs and the release lacks."""
        for path in call.needs:
            found = self.lookup(path) if self.names.owns(path.partition(":")[0]) else None
            if isinstance(found, Missing | ImportFails):
                return found
        return None

    def on(self, holder: Answer, name: str) -> Answer:
        """Find an attribute of a class, or hand on why there is no such class."""
        return self.names.attribute(holder, name) if isinstance(holder, Found) else holder

    def holder(self, profile: str, receiver: Any) -> Answer | None:  # noqa: ANN401 # any JSON
        """Return the class of a receiver, None where the recording does not tell."""
        if not isinstance(receiver, Mapping):
            return None
        if "$symbol" in receiver or "$new" in receiver:
            found = self.lookup(str(receiver.get("$symbol") or receiver["$new"]))
            return found if not isinstance(found, Found) or found.kind == CLASS else None
        if "$ref" in receiver and not receiver.get("path"):
            made = self.made.get((profile, int(receiver["$ref"])))
            return made if not isinstance(made, Found) or made.kind == CLASS else None
        return None

    def definition(self, event: Event) -> Answer:
        """Find a function by its definition path."""
        module, qualname = str(event.get("module", "")), str(event.get("qualname", ""))
        if qualname.endswith(".__init__") and event.get("kind") == "constructor":
            qualname = qualname.removesuffix(".__init__")
        # A wrapper's body goes by the function that it wraps.
        inside = "<locals>" in qualname and "<locals>" not in str(event["function"])
        return self.lookup(f"{module}:{qualname}" if module and not inside else str(event["function"]))

    # What it reaches

    def reach(self, found: Found, depth: int) -> str | None:
        """Return the first name that a function always calls and that its release does not have."""
        if found.path not in self.reached:
            self.reached[found.path] = None  # recursion reaches nothing new
            self.reached[found.path] = self._reach(found, depth)
        return self.reached[found.path]

    def _reach(self, found: Found, depth: int) -> str | None:
        definition = found.definition
        if definition is None or not depth or not self.names.owns(found.module):
            return None
        for name in definition.calls if definition.kind in {FUNCTION, LAMBDA} else ():
            answer = self._called(found, name)
            if isinstance(answer, Missing):
                return answer.path
            if isinstance(answer, Found) and answer.kind == FUNCTION and (further := self.reach(answer, depth - 1)):
                return further
        return None

    def _called(self, found: Found, name: str) -> Answer:
        root, _, rest = name.partition(".")
        if root != "self" or found.owner is None:
            bound = self.names.scope(found.module).get(root, [])
            outside = [one.target for one in bound if one.target and not self.names.owns(one.target)]
            return (
                Unknown(f"{outside[0]} is not the release's") if outside else self.names.expression(found.module, name)
            )
        # What a subclass or an instance adds is not known here: only methods of the class itself are looked at.
        answer = self.names.member(found.owner, rest.partition(".")[0])
        return answer if "." not in rest and isinstance(answer, Found) else Unknown("an attribute of an instance")
