"""A TypeScript class for each consumer: its URL, actions and state."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any, cast, get_args
from urllib.parse import quote

from django.core.management import CommandError
from django.urls.converters import IntConverter, PathConverter, StringConverter, UUIDConverter
from django.utils.regex_helper import normalize

from collab.engine.connections.routes import Route, full_name, routes
from collab.live.actions.actions import Action, Parameter, actions_of, is_pair
from collab.live.actions.runtime_state import variables_of
from collab.live.consumers import LiveConsumer
from collab.live.state.declared_state import State, state_of
from collab.live.state.state_mirrors import writable_fields
from collab.live.state.tables import CREATE, DELETE, SAVE, Table, flat_serializer
from collab.live.watching.subscription_mixin import SubscriptionMixin

from .fields import Serializers, column_type, interface_name
from .files import Files, block, camel, literal, property_name
from .models import declare_models
from .types import Types, array, union

__all__ = ["MEMBERS", "live_routes", "typescript"]

#: Name and lines of a method.
Method = tuple[str, list[str]]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Members of the client package's channels; methods for actions of these names get a suffix.
MEMBERS = _words(
    "call changed connect connected constructor create delete destroy destroyed disconnect doc"
    " ended instance lastNumber lost observe on provider runtimeState save state subscribe"
    " table transport"
)
#: Words that cannot be names of parameters.
_RESERVED = _words(
    "arguments await break case catch class const continue debugger default delete do else"
    " enum eval export extends false finally for function handler if implements import in"
    " instanceof interface let new null options others package private protected public relations"
    " return root static super switch this throw true try typeof var void while with yield"
)
_SUBSCRIBE, _UNSUBSCRIBE = "subscribe", "unsubscribe"
#: Actions that the client package calls.
_OURS = frozenset({"settle_rows", "subscribe", "unsubscribe"})
#: A parameter in a path, as Django writes it to fill it in.
_PARAMETER = re.compile(r"%\((\w+)\)s")
#: Characters of paths that need no quoting, neither in URLs nor in template literals.
_SAFE = "/:@!&'()*+,;="
_TEXTUAL = (StringConverter, UUIDConverter, PathConverter)


def typescript(application: object) -> dict[str, str]:
    """Return the generated files by name for the LiveConsumers of an application.

    Raises:
        CommandError: two declarations have the same name.
    """
    files = Files()
    found = live_routes(application)
    for route in found:
        _Channel(route, files).declare()
    consumers = [cast("Any", route.application).consumer_class for route in found]
    if any(issubclass(consumer, SubscriptionMixin) for consumer in consumers):
        declare_models(files)
    return {file.name: file.text for file in files}


def live_routes(application: object) -> list[Route]:
    """Return the first route to each LiveConsumer of an application."""
    found: dict[type, Route] = {}
    for route in routes(application):
        consumer = getattr(route.application, "consumer_class", None)
        if isinstance(consumer, type) and issubclass(consumer, LiveConsumer):
            found.setdefault(consumer, route)
    return [*found.values()]


class _Channel:
    """Generates the class of a consumer."""

    def __init__(self, route: Route, files: Files) -> None:
        self._consumer: Any = route.application.consumer_class  # type: ignore[attr-defined]
        self._route = route
        self._file = files.of(self._consumer)
        self._types = Types(files)
        self._serializers = Serializers(files)
        self._state: State | None = state_of(self._consumer)
        self._variables: dict[str, Any] = variables_of(self._consumer)

    def declare(self) -> None:
        """Declare the class and its types in their file."""
        if self._variables:
            self._declare("RuntimeState", self._runtime)
        if self._state:
            self._declare("Types", partial(self._state_types, self._state))
            for table in self._state.tables.values():
                if table.operations & {SAVE, CREATE}:
                    name = f"{interface_name(table.serializer_class)}Payload"
                    self._declare(name, partial(self._payload, self._state, table))
        self._declare("Channel", self._class)

    def _declare(self, suffix: str, write: Callable[[str], str]) -> None:
        name = f"{self._name}{suffix}"
        self._file.declare(name, self._consumer, lambda: write(name))

    @cached_property
    def _name(self) -> str:
        name: str = self._consumer.__name__
        return name.removesuffix("Consumer").removesuffix("Channel") or name

    def _runtime(self, name: str) -> str:
        lines = (
            f"{property_name(key)}: {self._types.of(hint, self._file)};"
            for key, hint in self._variables.items()
        )
        return block(f"export interface {name}", lines)

    def _class(self, name: str) -> str:
        path = full_name(self._consumer)
        lines = self._constructor()
        for method in self._methods():
            lines += ["", *method]
        return f"/** Channel of `{path}`. */\n" + block(
            f"export class {name} extends {self._base}", lines
        )

    @property
    def _base(self) -> str:
        runtime = f"{self._name}RuntimeState" if self._variables else ""
        if self._state:
            shown = self._shown(self._state.root)
            state = array(shown) if self._state.many else shown
            return f"collab.StateChannel<{state}, {runtime or 'object'}, {self._name}Types>"
        kind = "DocumentChannel" if self._has_document else "LiveChannel"
        return f"collab.{kind}<{runtime}>" if runtime else f"collab.{kind}"

    # The state.

    def _shown(self, table: Table) -> str:
        return self._serializers.shown(table.serializer_class(), self._file)

    def _state_types(self, state: State, name: str) -> str:
        lines = (f"{literal(key)}: {self._shown(table)};" for key, table in state.tables.items())
        return block(f"export interface {name}", lines)

    def _payload(self, state: State, table: Table, name: str) -> str:
        serializer = flat_serializer(table.serializer_class)()
        return self._serializers.taken(name, serializer, writable_fields(state, table), self._file)

    def _shape(self, state: State) -> list[str]:
        """Return the lines that describe to the client package how rows are nested."""
        lines = [f"const root = {literal(state.root.map_name)};", "const relations = {"]
        for name, table in state.tables.items():
            relations = [_relation(state, name, field) for field in table.relations]
            fields = block("", relations).lstrip().splitlines()
            lines += [f"  {line}" for line in [f"{literal(name)}: {fields[0]}", *fields[1:]]]
            lines[-1] += ","
        return [*lines, "};"]

    def _writing(self, table: Table) -> Iterator[Method]:
        """Yield the methods for changing rows of a table."""
        name, type_ = interface_name(table.serializer_class), literal(table.map_name)
        key, payload = column_type(table.model._meta.pk), f"{self._name}{name}Payload"
        if CREATE in table.operations:
            made = ".then(Number)" if key == "number" else ""
            signature = f"create{name}(values: {payload}): Promise<{key}>"
            call = f"this.create({type_}, {{ ...values }}){made}"
            yield f"create{name}", _returning(signature, call)
        if SAVE in table.operations:
            signature = f"save{name}(id: {key}, values: Partial<{payload}>): Promise<void>"
            call = f"this.save({type_}, id, {{ ...values }})"
            yield f"save{name}", _returning(signature, call)
        if DELETE in table.operations:
            signature = f"delete{name}(id: {key}): Promise<void>"
            yield f"delete{name}", _returning(signature, f"this.delete({type_}, id)")

    @property
    def _has_document(self) -> bool:
        # The project overrides the method, or the URL has the argument that ours uses.
        is_own = not self._consumer.make_room_name.__module__.startswith("collab.")
        return self._state is not None or is_own or "room" in self._url[1]

    # The URL.

    @cached_property
    def _url(self) -> tuple[str, dict[str, str]]:
        """The path as a template literal's text and the types of its parameters."""
        path, types = "", dict[str, str]()
        for pattern in self._route.patterns:
            template, names = normalize(pattern.regex.pattern)[0]
            path += template
            types |= {name: _converted(pattern.converters.get(name)) for name in names}
        return path, types

    def _constructor(self) -> list[str]:
        path, types = self._url
        given = [f"{_parameter(name)}: {type_}" for name, type_ in types.items()]
        kind = "DocumentOptions" if self._has_document else "ChannelOptions"
        given.append(f"options: collab.{kind} = {{}}")
        before, shape = [], ""
        if self._state:
            before = [f"  {line}" for line in self._shape(self._state)]
            own = "perConnection: true, " if self._state.per_connection else ""
            shape = f"{{ root, many: {literal(self._state.many)}, {own}relations }}, "
        return [
            f"constructor({', '.join(given)}) {{",
            *before,
            f"  super(collab.path`/{_template(path)}`, {shape}options);",
            "}",
        ]

    # Methods.

    def _methods(self) -> Iterator[list[str]]:
        """Yield the lines of each method, in the order of their names.

        Raises:
            CommandError: two methods have the same name.
        """
        methods: dict[str, list[str]] = {}
        tables = self._state.tables.values() if self._state else ()
        written = [method for table in tables for method in self._writing(table)]
        for name, lines in [*self._actions(), *written]:
            if name in methods:
                path = self._consumer.__qualname__
                raise CommandError(f"{path} has two methods {name}: rename an action.")
            methods[name] = lines
        yield from (methods[name] for name in sorted(methods))

    def _actions(self) -> Iterator[Method]:
        actions = actions_of(self._consumer)
        for name, action in actions.items():
            # The client package calls the action that ends a subscription.
            is_of_subscription = name.startswith(_UNSUBSCRIBE) and name[2:] in actions
            if not is_of_subscription and name not in _OURS:
                method = camel(name) + ("_" if camel(name) in MEMBERS else "")
                yield method, [*self._method(method, action)]

    def _method(self, name: str, action: Action) -> Iterator[str]:
        if summary := (inspect.getdoc(action.function) or "").partition("\n")[0]:
            yield f"/** {summary.replace('*/', '* /')} */"
        if action.name.startswith(_SUBSCRIBE):
            yield from self._subscription(name, action)
        else:
            signature = f"{name}({', '.join(self._given(action))}): Promise<{self._result(action)}>"
            call = f"this.call({literal(action.name)}, {_arguments(action)})"
            yield from _returning(signature, call)

    def _subscription(self, name: str, action: Action) -> list[str]:
        required, optional = _sorted(action)
        given = [
            *(self._parameter(*one) for one in required),
            "handler: (push: collab.Push<T>) => void = () => undefined",
            *(self._parameter(*one) for one in optional),
            *_others(action),
            "options: collab.SubscribeOptions = {}",
        ]
        signature = f"{name}<T = unknown>({', '.join(given)}): collab.Subscription<T>"
        call = f"this.subscribe({literal(action.name)}, {_arguments(action)}, handler, options)"
        return _returning(signature, call)

    def _given(self, action: Action) -> Iterator[str]:
        for name, parameter in [*_sorted(action)[0], *_sorted(action)[1]]:
            yield self._parameter(name, parameter)
        yield from _others(action)

    def _parameter(self, name: str, parameter: Parameter) -> str:
        mark = "" if parameter.is_required else "?"
        type_ = self._types.of(parameter.annotation, self._file)
        if parameter.takes_null:
            type_ = union([*type_.split(" | "), "null"])
        return f"{_parameter(name)}{mark}: {type_}"

    def _result(self, action: Action) -> str:
        if action.result is inspect.Parameter.empty:
            return "unknown"
        if action.result in (None, type(None)):
            return "void"
        annotation = get_args(action.result)[0] if is_pair(action.result) else action.result
        return self._types.of(annotation, self._file)


def _returning(signature: str, call: str) -> list[str]:
    """Return the lines of a method that returns the result of a call."""
    return [f"{signature} {{", f"  return {call};", "}"]


def _relation(state: State, name: str, field: str) -> str:
    """Return the line that describes a field with nested rows to the client package."""
    relation = state.tables[name].relations[field]
    table = state.tables[relation.map_name]
    parts = f"type: {literal(relation.map_name)}, many: {literal(relation.many)}"
    parents = [
        parent for parent in table.parents if (parent.map_name, parent.relation) == (name, field)
    ]
    is_fixed = not state.many and name == state.root.map_name and len(table.parents) == 1
    if CREATE in table.operations and parents and (is_fixed or parents[0].field):
        parts += f", by: {literal(None if is_fixed else parents[0].field)}"
    return f"{property_name(field)}: {{ {parts} }},"


def _template(path: str) -> str:
    """Return a template literal's text for a path with parameters as in ``%(name)s``."""
    parts = _PARAMETER.split(path)
    for index, part in enumerate(parts):
        parts[index] = f"${{{_parameter(part)}}}" if index % 2 else quote(part, safe=_SAFE)
    return "".join(parts)


def _converted(converter: Any) -> str:
    """Return the type of a parameter in a URL."""
    if isinstance(converter, IntConverter):
        return "number"
    return "string" if converter is None or isinstance(converter, _TEXTUAL) else "string | number"


def _parameter(name: str) -> str:
    """Return the name of a parameter in TypeScript."""
    parameter = camel(name)
    if parameter[:1].isdecimal():
        parameter = f"part{parameter}"
    return f"{parameter}_" if parameter in _RESERVED else parameter


Named = tuple[str, Parameter]


def _sorted(action: Action) -> tuple[list[Named], list[Named]]:
    """Return the required parameters, and the optional ones."""
    required = [named for named in action.parameters.items() if named[1].is_required]
    optional = [named for named in action.parameters.items() if not named[1].is_required]
    return required, optional


def _others(action: Action) -> Sequence[str]:
    return ["others: collab.Arguments = {}"] if action.takes_anything else []


def _arguments(action: Action) -> str:
    given = [
        name if name == _parameter(name) else f"{property_name(name)}: {_parameter(name)}"
        for name in action.parameters
    ]
    everything = [*(["...others"] if action.takes_anything else []), *given]
    return f"{{ {', '.join(everything)} }}" if everything else "{}"
