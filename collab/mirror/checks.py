"""System checks of mirrors whose declarations cannot work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning, register
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db.models import Field as ModelField
from django.db.models import Model, UUIDField
from rest_framework.fields import CharField, Field
from rest_framework.serializers import BaseSerializer, ModelSerializer
from rest_framework.utils.model_meta import get_field_info

from collab.engine.connections.routes import full_name
from collab.mirror.owned import OwnRowsMirror
from collab.mirror.registry import ModelMirror, mirrors
from collab.mirror.rows.relations import declared_paths

from .models import MirroredRow

__all__ = ["check_admins", "check_mirrors", "is_sound"]

#: ``manage.py check --tag collab`` runs these with the others of the project.
TAG = "collab"

#: Attributes of a mirror that list names of fields.
_LISTS = ("fields", "writable_fields", "text_fields", "depends_on")
_OWN_LISTS = ("own_fields", "own_writable_fields")

#: Methods that return no serializer without ``fields``.
_NEEDING_FIELDS = (ModelMirror.get_serializer_class, OwnRowsMirror.get_serializer_class)

Fields = dict[str, Field[Any, Any, Any, Any]]


@register(TAG)
def check_mirrors(**kwargs: object) -> list[CheckMessage]:
    """Check the fields of mirrors, those that clients may change, and the documents."""
    taken = Counter(mirror.map_name for mirror in mirrors())
    return [
        Error(f"{full_name(type(mirror))} {text}", hint=hint, obj=type(mirror), id=id_)
        for mirror in mirrors()
        for id_, text, hint in _problems(mirror, taken)
    ]


@register(TAG)
def check_admins(**kwargs: object) -> list[CheckMessage]:
    """Check that pages of the admin save changed fields of mirrored rows, not whole rows."""
    if not apps.is_installed("django.contrib.admin"):
        return []
    return [
        Warning(
            f"{full_name(found)} saves whole rows of {model._meta.label}, and"
            " so takes back what others change while a page is open.",
            hint=f"Derive it from collab.mirror.writers.admin.{base}.",
            obj=found,
            id="collab.W020",
        )
        for model, found, base in _plain_admins()
    ]


def _plain_admins() -> Iterator[tuple[type[Model], type[Any], str]]:
    """Yield mirrored models, their admin classes that save whole rows, and the base to use."""
    from django.contrib.admin import StackedInline
    from django.contrib.admin.sites import all_sites

    from collab.mirror.writers.admin import MirroredInlineMixin, MirroredModelAdmin

    mirrored = tuple({mirror.model for mirror in mirrors()})
    for site in all_sites:
        for model, model_admin in site._registry.items():
            found = type(model_admin)
            if issubclass(model, mirrored) and not (
                issubclass(found, MirroredModelAdmin) or _is_builtin(found)
            ):
                yield model, found, "MirroredModelAdmin"
            for inline in model_admin.inlines or ():
                if issubclass(inline.model, mirrored) and not issubclass(
                    inline, MirroredInlineMixin
                ):
                    kind = "Stacked" if issubclass(inline, StackedInline) else "Tabular"
                    yield inline.model, inline, f"Mirrored{kind}Inline"


def _is_builtin(admin: type[Any]) -> bool:
    """Return whether Django registers this class itself, such as ``UserAdmin``."""
    return admin.__module__.startswith(("django.contrib.auth.", "django.contrib.sites."))


def is_sound(mirror: ModelMirror[Any]) -> bool:
    """Return whether ``mirror`` itself has no problems."""
    return not any(_problems(mirror, Counter()))


#: The id of a check, the fault, and the remedy.
Message = tuple[str, str, str]


def _problems(mirror: ModelMirror[Any], taken: Counter[str]) -> Iterator[Message]:
    yield from _missing_methods(mirror)
    yield from _wrong_map_name(mirror, taken)
    if wrong := [*_wrong_lists(mirror)] or [*_wrong_source(mirror), *_wrong_relations(mirror)]:
        yield from wrong
    elif shown := _shown(mirror):
        for attribute, fields in _writable(mirror, shown):
            yield from _unknown(mirror, attribute, fields)
            yield from _not_writable(mirror, attribute, fields)
        yield from _unknown(mirror, "text_fields", shown)
        yield from _no_text(mirror, shown)
        yield from _lacking(mirror, shown)


def _missing_methods(mirror: ModelMirror[Any]) -> Iterator[Message]:
    is_own = isinstance(mirror, OwnRowsMirror)
    base, prefix = (OwnRowsMirror, "get_shared") if is_own else (ModelMirror, "get")
    for name, hint in (
        (f"{prefix}_room_names", "Return the names of the documents that a row is in."),
        (
            f"{prefix}_queryset",
            "Return the rows of a document, or None if it has none of this model.",
        ),
    ):
        if getattr(type(mirror), name) is getattr(base, name):
            yield "collab.E007", f"does not override {name}().", hint


def _wrong_map_name(mirror: ModelMirror[Any], taken: Counter[str]) -> Iterator[Message]:
    name, limit = mirror.map_name, MirroredRow._meta.get_field("map_name").max_length or 0
    if not isinstance(name, str) or len(name) > limit:
        yield (
            "collab.E008",
            f"has a map_name that is not a text of at most {limit} characters.",
            'Write map_name = "tasks", for example, or leave it out.',
        )
    elif taken[name] > 1:
        others = [
            full_name(type(one)) for one in mirrors() if one.map_name == name and one is not mirror
        ]
        yield (
            "collab.E008",
            f"has the map_name {name!r}, as another one has: {', '.join(others)}.",
            "Give each mirror a map_name of its own, also if they are never in the same document.",
        )


# The rows that it shows.


def _wrong_lists(mirror: ModelMirror[Any]) -> Iterator[Message]:
    for attribute in _LISTS + _OWN_LISTS * isinstance(mirror, OwnRowsMirror):
        names = getattr(mirror, attribute)
        if not isinstance(names, (list, tuple)) or not all(isinstance(n, str) for n in names):
            hint = f'Write {attribute} = ("title", "done"); one name has a comma, too: ("title",).'
            yield "collab.E009", f"has {attribute} that are not a list of names: {names!r}.", hint


def _wrong_source(mirror: ModelMirror[Any]) -> Iterator[Message]:
    """Yield faults of the source of values: ``fields`` or a serializer."""
    if isinstance(mirror, OwnRowsMirror):
        yield from _wrong_own_source(mirror)
    if mirror.fields and mirror.serializer_class:
        hint = "Leave out one of them: the serializer lists the fields."
        yield "collab.E010", "has both fields and a serializer_class.", hint
    elif mirror.serializer_class:
        yield from _wrong_serializer(mirror, "serializer_class")
    elif mirror.fields:
        yield from _wrong_fields(mirror, "fields")
    elif type(mirror).get_serializer_class in _NEEDING_FIELDS:
        hint = 'Write fields = ("title", "done"), or serializer_class = TaskSerializer.'
        yield "collab.E010", "has neither fields nor a serializer_class.", hint


def _wrong_own_source(mirror: OwnRowsMirror[Any]) -> Iterator[Message]:
    """Yield faults of the source of values in documents of owners."""
    if not mirror.own_serializer_class:
        yield from _wrong_fields(mirror, "own_fields")
        if mirror.serializer_class:
            hint = "Write own_serializer_class: a serializer with all fields that owners see."
            yield "collab.E010", "has a serializer_class, but none for owners.", hint
    elif mirror.fields or mirror.own_fields:
        hint = "Write serializer_class instead of fields, or own_fields instead of the serializer."
        yield "collab.E010", "has both fields and an own_serializer_class.", hint
    else:
        yield from _wrong_serializer(mirror, "own_serializer_class")
    names = [field.name for field in mirror.model._meta.concrete_fields]
    if mirror.owner_field not in names:
        text = f"has the owner_field {mirror.owner_field!r}, which is not a column."
        yield "collab.E009", text, _meant(mirror.owner_field, names)


def _wrong_fields(mirror: ModelMirror[Any], attribute: str) -> Iterator[Message]:
    known = [field.name for field in mirror.model._meta.get_fields()]
    for name in getattr(mirror, attribute):
        # Properties and methods are shown, too.
        if not hasattr(mirror.model, name):
            text = f"has the field {name!r}, which {mirror.model.__name__} does not have."
            yield "collab.E009", text, _meant(name, known)


def _wrong_serializer(mirror: ModelMirror[Any], attribute: str) -> Iterator[Message]:
    serializer: Any = getattr(mirror, attribute)
    if not (isinstance(serializer, type) and issubclass(serializer, ModelSerializer)):
        hint = "Derive it from rest_framework.serializers.ModelSerializer."
        yield (
            "collab.E011",
            f"has the {attribute} {serializer!r}, which is not a ModelSerializer.",
            hint,
        )
        return
    model: Any = getattr(getattr(serializer, "Meta", None), "model", None)
    if model is None or not issubclass(mirror.model, model):
        text = f"has the {attribute} {serializer.__name__}, which is not for its model."
        hint = f"Write model = {mirror.model.__name__} in its Meta, or use another serializer."
        yield "collab.E011", text, hint
        return
    try:
        _fields(serializer)
    # Django REST framework refuses its faults with these.
    except (AssertionError, ImproperlyConfigured) as error:
        text = f"has the {attribute} {serializer.__name__}, which does not work."
        yield "collab.E011", text, " ".join(str(error).split())


def _wrong_relations(mirror: ModelMirror[Any]) -> Iterator[Message]:
    for path in mirror.depends_on:
        try:
            declared_paths(mirror.model, [path])
        except FieldDoesNotExist as error:
            hint = 'Name relations as queries do: "board", "board__owner", "comment".'
            yield "collab.E009", f"has {path!r} in depends_on: {error}", hint


def _shown(mirror: ModelMirror[Any]) -> Fields:
    """Return all fields that documents show; none if they differ between documents."""
    shown: Fields = {}
    if not (mirror.fields or mirror.serializer_class):
        return shown
    for serializer in mirror.serializers():
        shown |= _fields(serializer)
    return shown


def _fields(serializer: type[ModelSerializer[Any]]) -> Fields:
    return {name: field for name, field in serializer().fields.items() if not field.write_only}


# Fields that clients may change.


def _writable(mirror: ModelMirror[Any], shown: Fields) -> Iterator[tuple[str, Fields]]:
    """Yield attributes that list writable fields, with the fields that clients are shown."""
    if isinstance(mirror, OwnRowsMirror):
        yield "own_writable_fields", _fields(mirror.own_serializer)
        shown = _fields(mirror.serializers()[0])
    yield "writable_fields", shown


def _unknown(mirror: ModelMirror[Any], attribute: str, shown: Fields) -> Iterator[Message]:
    for name in getattr(mirror, attribute):
        if name not in shown:
            text = f"has {name!r} in {attribute}, which documents do not show."
            yield "collab.E009", text, _meant(name, shown)


def _not_writable(mirror: ModelMirror[Any], attribute: str, shown: Fields) -> Iterator[Message]:
    for name in getattr(mirror, attribute):
        if (field := shown.get(name)) is None:
            continue
        text = f"has {name!r} in {attribute}, which "
        if _is_read_only(field) and not isinstance(field, BaseSerializer):
            hint = f"Take {name!r} out of {attribute}, or make it writable in the serializer."
            yield "collab.E012", f"{text}is read-only in the serializer.", hint
        elif isinstance(field, BaseSerializer) or len(field.source_attrs) != 1:
            hint = f"Take {name!r} out, and give the model that it belongs to a mirror of its own."
            hint += _related_by_key(mirror, attribute, name, field)
            yield "collab.E012", f"{text}is not a column of the row itself.", hint


def _related_by_key(
    mirror: ModelMirror[Any], attribute: str, name: str, field: Field[Any, Any, Any, Any]
) -> str:
    """Return the code that can take the place of a nested serializer, if there is any."""
    relations = get_field_info(mirror.model).relations
    if not isinstance(field, BaseSerializer) or field.source not in relations:
        return ""
    relation = relations[field.source]
    key, many = f"{name}_id" + "s" * relation.to_many, "many=True, " * relation.to_many
    queryset = f"{relation.related_model.__name__}.objects.all()"
    return (
        f" Or let clients choose by key: add {key} = PrimaryKeyRelatedField("
        f'source="{field.source}", {many}queryset={queryset}) to the serializer and its'
        f" Meta.fields, and list {key!r} in {attribute}."
    )


def _is_read_only(field: Field[Any, Any, Any, Any]) -> bool:
    # Of StringRelatedField(many=True) only the inner field is marked.
    return field.read_only or getattr(getattr(field, "child_relation", field), "read_only", False)


def _no_text(mirror: ModelMirror[Any], shown: Fields) -> Iterator[Message]:
    for name in mirror.text_fields:
        if name in shown and not isinstance(shown[name], CharField):
            hint = f"Take {name!r} out of text_fields: only texts can be edited together."
            yield "collab.E013", f"has {name!r} in text_fields, which is not a text.", hint


def _lacking(mirror: ModelMirror[Any], shown: Fields) -> Iterator[Message]:
    """Yield columns that rows added by clients would have no value for."""
    if not mirror.can_create or type(mirror).get_initial is not ModelMirror.get_initial:
        return
    names = [
        name for attribute, _ in _writable(mirror, shown) for name in getattr(mirror, attribute)
    ]
    given = {shown[name].source for name in names if name in shown}
    for field in mirror.model._meta.concrete_fields:
        if field.name not in given and _needs_value(field):
            text = f"has can_create, but new rows would have no {field.name!r}."
            hint = "Return it from get_initial(), or let clients write it, or give it a default."
            yield "collab.E014", text, hint


def _needs_value(field: ModelField[Any, Any]) -> bool:
    # A client draws the UUID of a new row.
    is_drawn = field.primary_key and isinstance(field, UUIDField)
    has_value = field.has_default() or field.has_db_default() or field.null or field.blank
    return not (is_drawn or has_value or field.generated)


def _meant(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"There are {', '.join(known)}."
