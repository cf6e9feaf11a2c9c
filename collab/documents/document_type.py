"""The base class of kinds of documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pycrdt import Doc

if TYPE_CHECKING:
    from collab.content import Schema
    from collab.documents.changes.change import Change

__all__ = ["DocumentType", "History", "has_hooks", "overrides"]

#: Methods that are called after a change.
_HOOKS = ("created", "changed", "deleted", "renamed", "validate")


@dataclass(frozen=True, slots=True)
class History:
    """The policy of automatic versions; see :mod:`collab.history`.

    Older ones are thinned out: all stay for ``keep_all``, then the last of each hour for
    ``keep_hourly``, of each day for ``keep_daily``, and of each week from then on. Named versions
    and those made before a version was restored or a document was imported stay.

    Args:
        every: seconds that have to pass between automatic versions.
        keep_all, keep_hourly, keep_daily: ages, each larger than the one before.
        max_age: older automatic versions are deleted, too; ``None``: none are.
        max_versions: at most this number of automatic versions; ``None``: any.
    """

    every: float = 600
    keep_all: timedelta = timedelta(days=1)
    keep_hourly: timedelta = timedelta(weeks=1)
    keep_daily: timedelta = timedelta(days=30)
    max_age: timedelta | None = None
    max_versions: int | None = None


class DocumentType:
    """A kind of document: subclass it, and register the subclass for a pattern of names.

    Every way to a document asks the type of its name. Methods get the pattern's parameters as
    keyword arguments. Each may be a coroutine function; one that is not runs in a worker thread,
    where it may use the database.
    """

    # ``*args`` lets type checkers accept methods that name the parameters of their pattern.

    #: The pattern of names, in the syntax of Django's ``path()``; set by ``register()``.
    pattern: ClassVar[str] = ""
    #: The schema of its content: ``"tiptap"`` or another ready one of ``collab.content``, the
    #: dotted path of one of the project's own, or the schema itself; ``None`` if nothing reads it.
    content: ClassVar[Schema | str | None] = None
    #: The root that holds the content; ``None`` for the one that the schema's editor uses.
    content_field: ClassVar[str | None] = None
    #: The version of the content's structure. Raise it when clients or server code begin to write
    #: another one: clients that say an older version may only read, and ``upgrade()`` changes each
    #: stored document.
    version: ClassVar[int | None] = None
    #: Formats of its texts that a user with ``Access.COMMENT`` may add and remove, such as the
    #: marks of comments; ``*`` stands for any letters.
    comment_formats: ClassVar[Sequence[str]] = ("comment", "comment--*")
    #: The policy of automatic versions; ``None``: versions are only made by hand.
    history: ClassVar[History | None] = None
    #: Seconds without a further change after which ``changed()`` is called, and seconds after the
    #: first change at which it is called at the latest; both since the changes were stored, which
    #: takes up to 1.6 seconds.
    change_delay: ClassVar[float] = 2.0
    change_max_delay: ClassVar[float] = 10.0
    #: Call ``changed()`` and the other hooks after changes in a transaction that also records their
    #: success, so that they write to that database exactly once. Turn it off for a method
    #: that takes long, such as one that calls another service.
    atomic: ClassVar[bool] = True

    def authorize(self, user: Any, *args: Any, **parameters: Any) -> Any:
        """Return the access of ``user``, who may be anonymous, to the document.

        Raises:
            Unauthenticated: the user has to log in first.
            Forbidden: the user may not open it; so does returning ``Access.NONE``.
            NoSuchDocument: there is no such document.
        """
        raise NotImplementedError(
            f"{type(self).__qualname__} does not say who may open its documents: define"
            " authorize(self, user, ...), or access_for(self, users, ...)."
        )

    def access_for(self, users: Sequence[Any], *args: Any, **parameters: Any) -> Any:
        """Return the access of each of ``users`` to the document: a dict of ``Access`` by user.

        Checks of connected users that come together call it once, in place of ``authorize()`` for
        each user, so both have to agree. In a type without ``authorize()`` all checks call it.
        A user whom the dict lacks is refused. An error counts as the answer for all users.
        """

    def contents(self) -> Mapping[str | None, Schema | str]:
        """Return the schemas of all roots that hold content, for pages that show documents.

        A document with several editors, each in a root of its own, has more than one.
        """
        return {} if self.content is None else {self.content_field: self.content}

    def presence(self, user: Any, *args: Any, **parameters: Any) -> Any:
        """Return data about ``user`` that other members can trust: a dict that JSON can represent.

        The server puts it under ``verified`` into the presence of each of the user's clients, where
        no client can. It is asked when a connection joins, and with each check of its access.
        """
        return None

    def can_restore(self, user: Any, *args: Any, **parameters: Any) -> Any:
        """Return whether ``user``, who may write, may make, name, restore and delete versions."""
        return True

    def versions_since(self, user: Any, *args: Any, **parameters: Any) -> Any:
        """Return the time of the first version that ``user`` may see; ``None`` for all."""
        return None

    def seed(self, doc: Doc[Any], *args: Any, **parameters: Any) -> Any:
        """Fill a new document; called once in the document's life (I5)."""

    def upgrade(self, doc: Doc[Any], before: int, *args: Any, **parameters: Any) -> Any:
        """Change a stored document from version ``before`` to the present ``version``.

        Called once for each document, when it is opened for the first time since ``version`` was
        raised, before a member sees it, and by one process, however many open it (I5). A document
        that was stored while its type had no version is of version 0.
        """

    def load_legacy(self, *args: Any, **parameters: Any) -> Any:
        """Return a document as another server has stored it, when it is opened first.

        Yjs update bytes, binary or as base64; ``None`` if there is none, which is then seeded. It
        is taken for a document of the type's present ``version``.
        """
        return None

    def validate(self, doc: Doc[Any], user: Any, *args: Any, **parameters: Any) -> Any:
        """Refuse a changed document, by raising a ``ValidationError``.

        Called with a private copy when ``changed()`` is about to be, after the same pause. The
        document is set back for all members to its last valid state, and its authors are informed.

        Args:
            doc: the document.
            user: the author of the last change; ``None`` if unknown.
        """

    def check_update(self, member: Any, outline: Any, *args: Any, **parameters: Any) -> None:
        """Refuse an update of a member before it is applied, by raising a ``ValidationError``.

        Called in the event loop for each update, so it must return within microseconds, must not be
        a coroutine function, and must not use the database. A member whose update is refused is
        disconnected, as its document differs from the server's from then on.

        Args:
            member: the sender, with ``user`` and ``user_id``.
            outline: the insertions and deletions of the update, see
                ``collab.protocol.yjs.validation.UpdateOutline``; its bytes are ``outline.update``.
        """

    def created(self, change: Change, *args: Any, **parameters: Any) -> Any:
        """Called when a document has been stored for the first time."""

    def changed(self, change: Change, *args: Any, **parameters: Any) -> Any:
        """Called when a document has changed, once the change is stored and a pause has passed.

        One process calls it, at least once for the last change by members of any process or by
        server code. If it raises, it is called again later.
        """

    def deleted(self, *args: Any, **parameters: Any) -> Any:
        """Called when a document has been deleted."""

    def renamed(self, old: str, *args: Any, **parameters: Any) -> Any:
        """Called when a document receives a name of this type; ``old`` is the name it had."""

    def get_absolute_url(self, *args: Any, **parameters: Any) -> Any:
        """Return the address of the page that shows the document, if there is one."""
        return None


def overrides(document_type: type[DocumentType], *methods: str) -> bool:
    """Return whether a type defines any of some methods itself."""
    return any(getattr(document_type, name) is not getattr(DocumentType, name) for name in methods)


def has_hooks(document_type: type[DocumentType]) -> bool:
    """Return whether a type defines a method that is called after a change."""
    return overrides(document_type, *_HOOKS)
