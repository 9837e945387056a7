"""Makes the caller's objects of a trace again: stubs that play back, classes, instances, mocks."""

from __future__ import annotations

import ast
import contextlib
import functools
import keyword
import sys
import types
from typing import Any, Callable, Dict, List, Tuple

from .harmless import allowed, usable
from .values import BadValue, Decoder, Json, canonical, exception_type, find_symbol


class Stop(BaseException):
    """An error of the agent's own: not an ``Exception``, for packages catch those."""


class Unreplayable(Stop):
    """The trace does not hold what is needed here."""


class Blocked(Stop):
    """An earlier call failed to give what is needed here."""

    def __init__(self, call: int, reason: str) -> None:
        """Name the call."""
        super().__init__(reason)
        self.call, self.reason = call, reason


class Absent(Blocked):
    """A result is there, but not what the caller took out of it."""


class Missing(Stop):
    """The release does not have what is asked for."""


class Broken(Stop):
    """A module of the release does not import."""


def import_module(name: str, modules: Tuple[str, ...]) -> Any:
    """Import a module of the subject.

    Raises:
        Missing: there is no such module in this release.
        Broken: it is there, and does not import; the message names what is missing.
    """
    import importlib

    found = sys.modules.get(name)
    if found is not None:
        return found
    try:
        return importlib.import_module(name)
    except Stop:
        raise
    except ModuleNotFoundError as error:
        absent = error.name or ""
        if name == absent or name.startswith(absent + "."):
            raise Missing("no module %s" % absent) from None
        raise Broken("%s needs %s" % (name, absent)) from None
    except BaseException as error:
        raise Broken("%s: %s: %s" % (name, type(error).__name__, first_line(error))) from None


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, shortened."""
    try:
        lines = str(error).splitlines()
    except Exception:
        return ""
    return lines[0][:2000] if lines else ""


def find(path: str, modules: Tuple[str, ...]) -> Any:
    """Return what ``module:a.b`` leads to, importing the module.

    Raises:
        Missing, Broken: it leads nowhere in this release.
    """
    module, _, rest = path.partition(":")
    found = import_module(module, modules)
    at = module
    for part in filter(None, rest.split(".")):
        if at != module and isinstance(found, type(sys)) and found.__name__.split(".")[0] not in modules:
            raise Missing("%s is of another package" % at)  # a trace reaches nothing through what the subject imports
        try:
            found = getattr(found, part)
        except AttributeError:
            raise Missing("%s has no %s" % (at, part)) from None
        at = "%s.%s" % (at, part)
    return found


def checked(found: Any, name: str) -> Any:
    """Return what a trace led to.

    Raises:
        Unreplayable: it is nothing that a trace may call.
    """
    if not usable(found):
        raise Unreplayable("%s is of another package" % name)
    return found


STAND_INS: List[Any] = []  # modules of the caller's that hold only what annotations mention


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


class Duck:
    """An object of a class that the trace does not hold."""

    def __getattr__(self, name: str) -> Any:
        """Say that nothing is known of an attribute; Python's own questions are answered as usual."""
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        raise Unreplayable("%s.%s of another package" % (type(self).__name__, name))


class Unknown(Duck):
    """An attribute that the trace could not express: it is there, and nothing can be done with it."""

    def __init__(self, reason: str) -> None:
        """Keep why."""
        self.__dict__["_caliper_reason"] = reason

    def refuse(self, *_: Any, **__: Any) -> Any:
        """Say why nothing is known of it."""
        raise Unreplayable(self.__dict__["_caliper_reason"])

    __getattr__ = __get__ = __call__ = __iter__ = __next__ = __len__ = __bool__ = __enter__ = __contains__ = refuse
    __getitem__ = __setitem__ = __eq__ = __ne__ = __lt__ = __gt__ = __le__ = __ge__ = __str__ = __repr__ = refuse
    __hash__ = refuse


def expressed(decoder: Decoder, value: Json) -> Any:
    """Return the object of an attribute, or one that says that nothing is known of it."""
    try:
        return decoder.decode(value)
    except Unreplayable as error:
        return Unknown(str(error))


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


class Answer:
    """An HTTP response as clients see it; the names are those of requests and httpx."""

    def __init__(self, facts: Dict[str, Any]) -> None:
        """Hold what was recorded."""
        self.status_code, self.reason, self.url = facts["status_code"], facts["reason"], facts["url"]
        self.content = facts["content"]
        self.headers = Headers(facts["headers"])
        self.request = types.SimpleNamespace(url=facts["request"])
        self.ok = self.status_code is not None and self.status_code < 400
        self.encoding = "utf-8"

    @property
    def text(self) -> str:
        """Return the body as text."""
        return str(self.content.decode("utf-8", "replace"))

    def json(self, **_: Any) -> Any:
        """Return the body's JSON, or raise ValueError."""
        import json

        return json.loads(self.content)

    def iter_content(self, chunk_size: int = 1, **_: Any) -> Any:
        """Yield the body in parts."""
        for start in range(0, len(self.content), chunk_size or len(self.content) or 1):
            yield self.content[start : start + (chunk_size or len(self.content))]

    def raise_for_status(self) -> None:
        """Raise OSError where the status is an error, as requests does."""
        if not self.ok:
            raise OSError("%s Error: %s for url: %s" % (self.status_code, self.reason, self.url))

    @property
    def links(self) -> Dict[str, Dict[str, str]]:
        """Return the parsed ``Link`` header, by relation."""
        import re

        found = re.findall(r"<([^>]*)>\s*;\s*rel=\"?([^\",;]+)", self.headers.get("link", ""))
        return {relation: {"url": url, "rel": relation} for url, relation in found}

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def __enter__(self) -> "Answer":
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing."""


class Headers(Dict[str, str]):
    """Headers, whose names are the same in any case."""

    def __init__(self, items: Dict[str, str]) -> None:
        """Hold them."""
        super().__init__({name.lower(): value for name, value in items.items()})

    def __getitem__(self, name: str) -> str:
        """Return a header, or raise KeyError."""
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        """Say whether it is there."""
        return super().__contains__(str(name).lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return a header, or the default."""
        return super().get(name.lower(), default)


def new_mock(decoder: Decoder, definition: Json) -> Any:
    """Make a mock from its definition."""
    import unittest.mock

    kind = {
        "Mock": unittest.mock.Mock,
        "MagicMock": unittest.mock.MagicMock,
        "AsyncMock": getattr(unittest.mock, "AsyncMock", None),
    }.get(definition["class"])
    if kind is None:
        raise Unreplayable("a mock of class %s" % definition["class"])
    made = kind(**{name: decoder.decode(item) for name, item in definition["state"].items()})
    for name, child in definition.get("children", {}).items():
        setattr(made, name, decoder.decode(child))
    return made


def synthesize(definition: Json, player: Any, decoder: Decoder) -> Any:
    """Return a function of the recorded shape that asks ``player`` what to do; its names are checked identifiers.

    Raises:
        BadValue: a name is none.
    """
    names: List[str] = definition["names"]
    name = definition["name"] if definition["name"] != "<lambda>" else "lambda_"
    for identifier in [name, *names]:  # it goes into the text
        if not identifier.isidentifier() or keyword.iskeyword(identifier):
            raise BadValue("%r is no identifier" % identifier)
    defaults = [decoder.decode(value) for value in definition.get("defaults", [])]
    source = "%sdef %s(%s):\n    %s\n" % (
        "async " if definition["kind"] in ("coroutine", "asyncgen") else "",
        name,
        parameters(definition, len(defaults)),
        BODIES[definition["kind"]] % ", ".join("%r: %s" % (n, n) for n in names),
    )
    kwdefaults = {key: decoder.decode(value) for key, value in definition.get("kwdefaults", {}).items()}
    space: Dict[str, Any] = {
        "__name__": definition.get("module") or "caller",
        "_play": player.playback.play,
        "_stub": definition["id"],
        "_d": defaults,
        "_k": kwdefaults,
    }
    tree = ast.increment_lineno(ast.parse(source), definition.get("line", 1) - 1)
    # Only checked identifiers were put into the text.
    exec(compile(tree, decoder.decode(definition.get("file", "<stub>")), "exec", dont_inherit=True), space)
    function = space[name]
    function.__name__, function.__qualname__ = definition["name"], definition.get("qualname", definition["name"])
    function.__doc__ = decoder.decode(definition.get("doc"))
    return function


def finish(function: Any, definition: Json, decoder: Decoder) -> None:
    """Give a stub its annotations and attributes: they may lead back to it."""
    function.__annotations__ = {key: decoder.decode(value) for key, value in definition.get("annotations", {}).items()}
    vars(function).update((key, decoder.decode(value)) for key, value in definition.get("state", {}).items())


BODIES = {
    "function": "return _play(_stub, {%s})",
    "coroutine": "return _play(_stub, {%s})",
    "generator": "return (yield from _play(_stub, {%s}))",
    "asyncgen": "for item in _play(_stub, {%s}): yield item",
}


def parameters(definition: Json, defaulted: int) -> str:
    """Return the text of a parameter list."""
    names, positional = definition["names"], definition["positional"]
    kwonly, made = definition["kwonly"], []
    for index, name in enumerate(names[:positional]):
        first = index - (positional - defaulted)
        made.append("%s=_d[%d]" % (name, first) if first >= 0 else name)
        if definition["posonly"] == index + 1:
            made.append("/")
    rest = names[positional + kwonly :]
    if definition["varargs"]:
        made.append("*" + rest.pop(0))
    elif kwonly:
        made.append("*")
    made += [
        "%s=_k[%r]" % (n, n) if n in definition.get("kwdefaults", {}) else n
        for n in names[positional : positional + kwonly]
    ]
    return ", ".join(made + (["**" + rest[0]] if definition["varkw"] else []))


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
