"""Options of a ``<collab-editor>``, and the attributes that they become."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args

from django.core.exceptions import ImproperlyConfigured
from django.urls import get_script_prefix

from collab.access import Access

__all__ = ["EDITORS", "Editor", "EditorOptions"]

Editor = Literal["rich", "markdown", "code", "plain"]
EDITORS: Final[tuple[str, ...]] = get_args(Editor)
#: Options whose text is that of the attribute.
_TEXTS = (
    *("placeholder", "label", "language", "form_field", "id"),
    *("upload_url", "mentions_url", "csrf_token"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditorOptions:
    """Options of one editor; texts that are empty are left out.

    Args:
        field: the name of the shared type in the document.
        editor: ``"rich"``, ``"markdown"``, ``"code"`` or ``"plain"``.
        readonly: shows the text only. The document's policy decides about access; this is
            about the page.
        placeholder: a text for an empty editor.
        label: the editor's name for screen readers.
        language: of code, such as ``"python"``, for its colours.
        form_field: the name of an input that holds the rendered value, to be sent with the form.
        url: the address below which the websockets are; the name of the document follows. By
            default ``ws/`` below the project's own address.
        upload_url: the address of the view that stores images; without one there are none.
        mentions_url: the address that answers ``?q=`` with ``{"results": [{"id", "label"}]}``.
        csrf_token: for uploads; by default that of the form or the cookie.
        offline: keep a copy in the browser of users who may write.
        toolbar: show the buttons of a rich text.
        status: show the users who are here, and whether the text is saved.
        version: of the document's structure that the page is made for; by default that of the
            document's type. With an older one than the server's the page may only read.
        history: offer the versions of the document; the page's URLs must include
            ``collab.history.urls``.
        access: granted by this page to its readers, although the policy does not.
        id: of the element.
    """

    field: str = "default"
    editor: str = "rich"
    readonly: bool | None = None
    placeholder: str = ""
    label: str = ""
    language: str = ""
    form_field: str | None = None
    url: str = ""
    upload_url: str = ""
    mentions_url: str = ""
    csrf_token: str = ""
    offline: bool = True
    toolbar: bool = True
    status: bool = True
    version: int | None = None
    history: bool = False
    access: Access | None = None
    id: str = ""

    def __post_init__(self) -> None:
        if self.editor not in EDITORS:
            raise ImproperlyConfigured(
                f"There is no editor {self.editor!r}: choose one of {', '.join(EDITORS)}."
            )

    def attributes(self) -> dict[str, str | bool]:
        """Return the attributes that are not the element's defaults; ``True`` has no value."""
        values: dict[str, str | bool] = {
            "field": self.field,
            "editor": self.editor,
            "url": self.url or f"{get_script_prefix()}ws/",
            "readonly": bool(self.readonly),
            "no-offline": not self.offline,
            "no-toolbar": not self.toolbar,
            "no-status": not self.status,
        }
        for name in _TEXTS:
            values[name.replace("_", "-")] = str(getattr(self, name) or "")
        return {name: value for name, value in values.items() if value}

    @classmethod
    def of(cls, given: dict[str, Any]) -> EditorOptions:
        """Return options as they are written in a template or a form.

        Raises:
            ImproperlyConfigured: there is no such option, or a value is not valid.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(given.keys() - known):
            raise ImproperlyConfigured(
                f"There is no option {', '.join(unknown)} of collab_editor; there are"
                f" {', '.join(sorted(known))}."
            )
        if isinstance(access := given.get("access"), str):
            given = {**given, "access": _access(access)}
        return cls(**given)


def _access(label: str) -> Access:
    try:
        return Access[label.upper()]
    except KeyError:
        raise ImproperlyConfigured(
            f'"{label}" is not an access: choose "read" or "write".'
        ) from None
