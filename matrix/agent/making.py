"""Makes the caller's objects of a trace again: stubs that play back, classes, instances, mocks."""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from typing import Any, Callable, Dict, Tuple

from .finding import Blocked, Broken, Missing, Stop, Unreplayable, checked, find, first_line, import_module
from .harmless import allowed
from .standard import BadValue, exception_type
from .standins import STAND_INS, Answer, Duck, expressed, new_mock
from .symbols import find_symbol
from .synthesis import finish, synthesize
from .values import Decoder, Json, canonical


class Makers:
    """Makes the objects of one test; the same number gives the same object."""

    def __init__(self, player: Any) -> None:
        """Make one; ``player.play(stub, values)`` answers for a stub."""
        self.player = player
        self.made: Dict[Tuple[str, int], Any] = {}
        self.identities: Dict[int, Json] = {}
        self.bases: Dict[str, Any] = {}  # stand-ins for classes of other packages

    def hook(self, decoder: Decoder, kind: str, value: Json) -> Any:
        """Return the object of a value that is no data."""
        maker = getattr(self, "make_" + kind[1:], None)
        if maker is None:
            raise BadValue("unknown value %s" % kind)
        return maker(decoder, value)

    def make_opaque(self, _decoder: Decoder, value: Json) -> Any:
        """Refuse what the trace could not express."""
        raise Unreplayable(str(value["$opaque"]))

    def make_ref(self, _decoder: Decoder, value: Json) -> Any:
        """Return what an earlier call gave."""
        return self.player.results.of(value["$ref"], value.get("path", []))

    def make_join(self, decoder: Decoder, value: Json) -> str:
        """Return a text that holds texts of earlier results."""
        return "".join(str(decoder.decode(part)) for part in value["$join"])

    def make_symbol(self, _decoder: Decoder, value: Json) -> Any:
        """Return an importable object of the subject's or of the standard library's data types."""
        path = value["$symbol"]
        module = path.partition(":")[0]
        if module.split(".")[0] in self.player.modules:
            return checked(find(path, self.player.modules), path)
        if not allowed(module, path.partition(":")[2], self.player.imports):
            raise Unreplayable("%s is of another package" % path)
        try:
            import_module(module, ())
            return find_symbol(path)
        except (LookupError, Missing, Broken):
            raise Unreplayable("%s is not there" % path) from None

    def make_bound(self, decoder: Decoder, value: Json) -> Any:
        """Return a method of an object."""
        on = decoder.decode(value["on"])
        try:
            return checked(getattr(on, value["$bound"]), value["$bound"])
        except AttributeError:
            raise Missing("%s has no %s" % (type(on).__name__, value["$bound"])) from None

    def make_make(self, decoder: Decoder, value: Json) -> Any:
        """Return a named tuple of the subject's."""
        kind = checked(find(value["$make"], self.player.modules), value["$make"])
        return kind(*[decoder.decode(item) for item in value["args"]])

    def make_new(self, decoder: Decoder, value: Json) -> Any:
        """Return an object of the subject's, constructed as it was and brought into the state that it had."""
        kind = checked(find(value["$new"], self.player.modules), value["$new"])
        if value.get("bare"):
            made = kind.__new__(kind)
            for name, item in value.get("state", {}).items():
                setattr(made, name, decoder.decode(item))
            return made
        args, kwargs = [], {}
        for argument in value["args"]:
            if argument["form"] == "keyword":
                kwargs[argument["name"]] = decoder.decode(argument["value"])
            elif argument["form"] != "defaulted":
                args.append(decoder.decode(argument["value"]))
        try:
            made = kind(*args, **kwargs)
        except Stop:
            raise
        except BaseException as error:
            raise Blocked(
                0, "%s cannot be constructed: %s: %s" % (value["$new"], type(error).__name__, first_line(error))
            ) from None
        self.bring(decoder, made, value.get("state", {}))
        return made

    def bring(self, decoder: Decoder, obj: Any, state: Json) -> None:
        """Set the attributes that an object has here to their recorded values; objects in it are kept, and brought."""
        for name, value in state.items():
            now = getattr(obj, name, Missing)
            if isinstance(value, dict) and "$new" in value and self.player.outcomes.is_subjects(type(now)):
                self.bring(decoder, now, value.get("state", {}))
                continue
            try:
                if now is Missing or canonical(self.player.outcomes.look(now)) != canonical(value):
                    setattr(obj, name, decoder.decode(value))
            except (AttributeError, TypeError, Missing):
                continue

    def make_answer(self, decoder: Decoder, value: Json) -> Any:
        """Return something that answers as an HTTP response does."""
        return Answer({name: decoder.decode(item) for name, item in value["$answer"].items()})

    def make_duck(self, decoder: Decoder, value: Json) -> Any:
        """Return something in the place of an object of another package: only what the recording holds can be asked."""
        module, _, name = value["$duck"].rpartition(".")
        made = type(name, (Duck,), {"__module__": module, "__qualname__": name})()
        for attribute, item in value["attrs"].items():
            object.__setattr__(made, attribute, decoder.decode(item))
        return made

    def make_file(self, decoder: Decoder, value: Json) -> Any:
        """Return an open file; only what is in the working folders is opened for more than reading."""
        path = (
            self.player.templates.show(value["$file"]["$tmpl"]) if isinstance(value["$file"], dict) else value["$file"]
        )
        if not self.player.setting.is_inside(path) and set(value["mode"]) - set("rbt"):
            raise Unreplayable("a file outside of the working folders")
        try:
            file = open(path, value["mode"])  # noqa: SIM115 # it is the caller's to close
            file.seek(value["at"])
        except (OSError, ValueError) as error:
            raise Unreplayable("%s cannot be opened: %s" % (value["$file"], type(error).__name__)) from None
        return file

    def once(self, kind: str, number: int, make: Callable[[Json], Any]) -> Any:
        """Return the object of a definition, made when first asked for."""
        key = (kind, number)
        if key not in self.made:
            definition = self.player.definitions.get(key)
            if definition is None:
                raise Unreplayable("no definition of %s %d" % key)
            self.made[key] = make(definition)
            self.identities[id(self.made[key])] = {"$" + kind: number}
        return self.made[key]

    def make_stub(self, decoder: Decoder, value: Json) -> Any:
        """Return a function that plays back what the caller's did."""
        number = value["$stub"]
        is_new = ("stub", number) not in self.made
        function = self.once("stub", number, lambda definition: synthesize(definition, self.player, decoder))
        if is_new:
            finish(function, self.player.definitions["stub", number], decoder)
        return function

    def make_class(self, decoder: Decoder, value: Json) -> Any:
        """Return a class of the caller's."""
        is_new = ("class", value["$class"]) not in self.made
        made = self.once("class", value["$class"], lambda definition: self.new_class(decoder, definition))
        if is_new:
            self.name(decoder, self.player.definitions["class", value["$class"]])
        return made

    def name(self, decoder: Decoder, definition: Json) -> None:
        """Let what the annotations of a class mention be found in its module, which is not there."""
        names, module = definition.get("names", {}), definition.get("module", "")
        if not names or (module in sys.modules and sys.modules[module] not in STAND_INS):
            return
        if module not in sys.modules:
            STAND_INS.append(types.ModuleType(module))
            sys.modules[module] = STAND_INS[-1]
        space = vars(sys.modules[module])
        for name, value in names.items():
            with contextlib.suppress(Stop):
                space[name] = decoder.decode(value)

    def new_class(self, decoder: Decoder, definition: Json) -> Any:
        """Make a class from its definition."""
        bases = tuple(self.base(decoder, base) for base in definition["bases"])
        body = {name: expressed(decoder, item) for name, item in definition["body"].items()}
        slots = body.get("__slots__", ())
        for name in [slots] if isinstance(slots, str) else slots:
            body.pop(name, None)
        body["__module__"] = definition.get("module", "caller")
        body["__qualname__"] = definition.get("qualname", definition["name"])
        options = {"metaclass": decoder.decode(definition["metaclass"])} if "metaclass" in definition else {}
        return types.new_class(definition["name"], bases, options, lambda namespace: fill(namespace, body))

    def base(self, decoder: Decoder, value: Json) -> Any:
        """Return a base of a class of the caller's; one of another package is stood in for: nothing is known of it."""
        try:
            return decoder.decode(value)
        except Unreplayable:
            symbol = value.get("$symbol", "")
            if not symbol or symbol.split(":")[0].split(".")[0] in self.player.modules:
                raise
            if symbol not in self.bases:
                module, _, name = symbol.partition(":")
                self.bases[symbol] = type(name.rpartition(".")[2], (Duck,), {"__module__": module})
            return self.bases[symbol]

    def make_member(self, decoder: Decoder, value: Json) -> Any:
        """Return a descriptor of a class body."""
        of = decoder.decode(value["of"])
        if value["$member"] == "property":
            return property(of, *[decoder.decode(value.get(part)) for part in ("fset", "fdel")])
        return MEMBERS[value["$member"]](of)

    def make_inst(self, decoder: Decoder, value: Json) -> Any:
        """Return an instance of a class of the caller's, with its state."""
        return self.once(
            "inst", value["$inst"], lambda definition: self.new_instance(decoder, definition, value["$inst"])
        )

    def new_instance(self, decoder: Decoder, definition: Json, number: int) -> Any:
        """Make an instance from its definition."""
        kind = decoder.decode(definition["class"])
        data = decoder.decode(definition["data"]) if "data" in definition else None
        if kind is types.ModuleType:
            made: Any = types.ModuleType(str(data))
        else:
            made = blank(kind, data)
        self.made["inst", number] = made
        self.identities[id(made)] = {"$inst": number}
        for name, item in definition["state"].items():
            if isinstance(made, types.ModuleType):
                setattr(made, name, decoder.decode(item))
            else:
                object.__setattr__(made, name, expressed(decoder, item))
        return made

    def make_mock(self, decoder: Decoder, value: Json) -> Any:
        """Return a mock of the standard library's."""
        return self.once("mock", value["$mock"], lambda definition: new_mock(decoder, definition))


def fill(namespace: Any, body: Dict[str, Any]) -> None:
    """Set what a class body sets, one by one: the namespace of an enumeration looks at each."""
    for name, value in body.items():
        namespace[name] = value


MEMBERS: Dict[str, Any] = {
    "staticmethod": staticmethod,
    "classmethod": classmethod,
    "cached_property": functools.cached_property,
}


def blank(kind: Any, data: Any) -> Any:
    """Return an object of a class with what it holds as data, but without state: no constructor is called."""
    native = next(base for base in kind.__mro__ if isinstance(vars(base).get("__new__"), types.BuiltinFunctionType))
    if isinstance(data, (dict, list, set)):
        made = native.__new__(kind)
        native.__init__(made, data)
        return made
    if issubclass(kind, BaseException):
        return native.__new__(kind, *(data or ()))
    return native.__new__(kind) if data is None else native.__new__(kind, data)


def exception_of(raised: Json, decoder: Decoder) -> BaseException:
    """Return the exception that a stub raised, with those that it came from."""
    made = raised_by(raised, decoder)
    for name in ("context", "cause"):
        if name in raised and "$opaque" not in canonical(raised[name]):
            linked = decoder.decode(raised[name])
            if isinstance(linked, BaseException) and linked is not made:
                setattr(made, "__%s__" % name, linked)
    return made


def raised_by(raised: Json, decoder: Decoder) -> BaseException:
    """Return an exception of a recorded type and with its arguments, or the very one that is still there."""
    if "value" in raised and "$opaque" not in canonical(raised["value"]):
        made = decoder.decode(raised["value"])
        if isinstance(made, BaseException):
            return made
    module, _, name = raised["type"].partition(":")
    if module != "builtins":
        raise Unreplayable("the caller raised %s" % raised["type"])
    remade: BaseException = exception_type(name)(*[decoder.decode(item) for item in raised["args"]])
    return remade
