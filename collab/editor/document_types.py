"""The documents of rows: each row of a model with collaborative fields has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from django.contrib.admin.utils import quote
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import router
from django.db.models import Model, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils.module_loading import autodiscover_modules
from pycrdt import Doc

from collab import documents
from collab.access import Access
from collab.documents.changes.change import Change
from collab.documents.registry import registrations
from collab.editor.element.people import person
from collab.editor.rows.columns import CollaborativeColumn, collaborative_models, columns_of
from collab.exceptions import NoSuchDocument

__all__ = [
    "RowDocument",
    "document_name",
    "document_type_of",
    "owners_of",
    "register_row_documents",
]


class RowDocument(documents.DocumentType):
    """The document of a row: each collaborative field of its model is a root of it.

    A class is made and registered for each model that has none. Subclass it, set ``model`` and
    register the subclass, to give documents other names, or to override a method::

        @documents.register("notes/<int:pk>")
        class NoteDocument(RowDocument):
            model = Note

    As long as no document is stored, the row's columns are its text; from then on the document is,
    and the columns are what it renders. To fill stored documents with the text of a field that was
    added or renamed as soon as they are opened, raise ``version``; a class that is made does so for
    a field that is added.
    """

    model: ClassVar[type[Model]]

    def authorize(self, user: Any, *args: Any, **parameters: Any) -> Access:
        """Return ``collab_access(user)`` of the row, or the access that the admin grants.

        That is: users who may change the model write, users who may view it read.

        Raises:
            NoSuchDocument: there is no such row.
        """
        if hasattr(self.model, "collab_access"):
            return Access(cast("Any", self.get_row(parameters["pk"])).collab_access(user))
        access = model_access(self.model, user)
        if access != Access.NONE and not self._rows(parameters["pk"]).exists():
            raise NoSuchDocument
        return access

    def presence(self, user: Any, *args: Any, **parameters: Any) -> dict[str, str]:
        """Return the name and the colour of a user, whatever the page of the form knows of it."""
        return person(user)

    def seed(self, doc: Doc[Any], *args: Any, **parameters: Any) -> None:
        """Fill a new document with the texts in the columns of the row."""
        fill(doc, self._made(parameters["pk"], columns_of(self.model)))

    def upgrade(self, doc: Doc[Any], before: int, *args: Any, **parameters: Any) -> None:
        """Fill the roots of fields that were added, or renamed, since the document was stored."""
        fill(doc, self._made(parameters["pk"], self._lacking(doc)))

    def changed(self, change: Change, *args: Any, **parameters: Any) -> None:
        """Store the rendered texts in the row, and leave its other columns alone.

        A column whose root the document never had keeps its text, and the document gets it.
        """
        state, lacking = change.doc.get_update(), self._lacking(change.doc)
        values = {
            column.attname: column.format.render(change.name, state, column.name)
            for column in columns_of(self.model)
            if column not in lacking
        }
        self._stored_rows(parameters["pk"]).update(**values)
        if made := self._made(parameters["pk"], lacking):
            with documents.edit(change.name) as doc:
                fill(doc, made)

    def _lacking(self, doc: Doc[Any]) -> list[CollaborativeColumn]:
        """Return the columns whose roots a document never had; one that was emptied has them."""
        roots = {*doc.keys()}
        return [column for column in columns_of(self.model) if column.name not in roots]

    def _made(self, pk: Any, columns: Sequence[CollaborativeColumn]) -> dict[str, bytes]:
        """Return the texts of a row in columns, each as an update, by the name of its root."""
        if not columns:
            return {}
        names = (column.attname for column in columns)
        values = self._stored_rows(pk).values(*names).first() or {}
        return {
            column.name: column.format.make(column.name, text)
            for column in columns
            if (text := values.get(column.attname))
        }

    def contents(self) -> dict[str | None, Any]:
        """Return the schema of each collaborative field."""
        return {column.name: column.format.schema for column in columns_of(self.model)}

    def get_absolute_url(self, *args: Any, **parameters: Any) -> str | None:
        """Return the address of the row: as its model has it, or else of its page in the admin."""
        try:
            row: Any = self.get_row(parameters["pk"])
        except NoSuchDocument:
            return None
        if hasattr(row, "get_absolute_url"):
            return str(row.get_absolute_url())
        page = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
        try:
            return reverse(page, args=[quote(row.pk)])
        except NoReverseMatch:
            return None

    # Rows.

    def get_row(self, pk: Any) -> Model:
        """Return the row of a document.

        Raises:
            NoSuchDocument: there is none.
        """
        row: Model | None = self._rows(pk).first()
        if row is None:
            raise NoSuchDocument
        return row

    def _rows(self, pk: Any) -> QuerySet[Any]:
        """Return the row as its model's default manager shows it."""
        return self._keyed(self.model._default_manager.all(), pk)

    def _stored_rows(self, pk: Any) -> QuerySet[Any]:
        """Return the row, also if the default manager hides it, in the database of writers."""
        manager = self.model._base_manager.using(router.db_for_write(self.model))
        return self._keyed(manager.all(), pk)

    def _keyed(self, rows: QuerySet[Any], pk: Any) -> QuerySet[Any]:
        try:
            key = self.model._meta.pk.to_python(pk)
        except ValidationError:
            return rows.none()
        # One row has one document: "7" is a key, and "007" is none.
        return rows.filter(pk=key) if str(key) == str(pk) else rows.none()


def fill(doc: Doc[Any], made: Mapping[str, bytes]) -> None:
    """Apply updates that make roots, but for roots that the document has."""
    roots = {*doc.keys()}
    for name, update in made.items():
        if name not in roots:
            doc.apply_update(update)


def model_access(model: type[Model], user: Any) -> Access:
    """Return the access that the admin grants a user to rows of a model."""
    label, name = model._meta.app_label, model._meta.model_name
    if user is None or not user.is_active:
        return Access.NONE
    if user.has_perm(f"{label}.change_{name}"):
        return Access.WRITE
    return Access.READ if user.has_perm(f"{label}.view_{name}") else Access.NONE


def document_type_of(model: type[Model]) -> type[RowDocument]:
    """Return the registered type of the documents of a model, which may be a proxy.

    Raises:
        ImproperlyConfigured: there is none.
    """
    concrete = model._meta.concrete_model
    for registration in registrations():
        document_type = type(registration.document_type)
        if (
            issubclass(document_type, RowDocument)
            and document_type.model._meta.concrete_model is concrete
        ):
            return document_type
    raise ImproperlyConfigured(
        f'{model.__qualname__} has no documents: add "collab.editor" to INSTALLED_APPS.'
    )


def document_name(row: Model, model: type[Model] | None = None) -> str:
    """Return the name of the document of a row.

    Args:
        row: it must have a primary key.
        model: of the table with the fields, if that is a parent of the row's model.

    Raises:
        ImproperlyConfigured: the model has no collaborative fields.
        ValueError: the primary key does not fit into a name.
    """
    owner = model or next(iter(owners_of(type(row))), type(row))
    key = getattr(row, owner._meta.pk.attname)
    return documents.name_of(document_type_of(owner), pk=key)


def owners_of(model: type[Model]) -> list[type[Model]]:
    """Return the models whose tables have the collaborative columns of a model: it, or parents."""
    concrete = cast("type[Model]", model._meta.concrete_model)
    return [each for each in (concrete, *concrete._meta.all_parents) if columns_of(each)]


def register_row_documents() -> None:
    """Register a type for each model with collaborative columns that has none."""
    # The project's own come first.
    autodiscover_modules("documents")
    known = {
        type(each.document_type).model._meta.concrete_model
        for each in registrations()
        if isinstance(each.document_type, RowDocument)
    }
    for model in collaborative_models():
        if model in known:
            continue
        columns = columns_of(model)
        attributes = {
            "model": model,
            "content": columns[0].format.schema,
            "content_field": columns[0].name,
            # A field that is added to the model raises it, so that stored documents get its text.
            "version": len(columns) if len(columns) > 1 else None,
            "history": documents.History() if any(each.history for each in columns) else None,
        }
        document_type = type(f"{model.__name__}Document", (RowDocument,), attributes)
        documents.register(f"{model._meta.label_lower}/<path:pk>")(document_type)
