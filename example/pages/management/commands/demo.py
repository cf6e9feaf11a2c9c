"""``manage.py demo``: demo users, and the first rows of each kind."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.db import transaction
from pycrdt import Doc, XmlElement, XmlFragment, XmlText

from boards.models import Board, Task
from collab import documents
from dashboard.readings import record_first
from meetings.models import Meeting
from pages.models import Page
from pages.people import DEMO_PASSWORD, DEMO_USERS

TITLE = "Welcome"
STEPS = (
    "Open this page in a second, private window and log in as another user.",
    "Type in both at once, and watch the other cursor.",
    "Stop the server, keep typing, start it again: nothing is lost.",
    "Share the read-only link with readers.",
)

MEETING = "After the party"
AGENDA = "<h2>Agenda</h2><p>What went well</p><p>What to do next year</p>"

BOARD = "Garden party"
#: By column: title, description, and index of the author.
TASKS = {
    Task.State.TODO: (
        ("Send the invitations", "Ask for allergies.\nReply by the 20th.", 0),
        ("Borrow chairs", "The neighbours have twelve.", 1),
        ("Make lemonade", "", 2),
        ("Playlist", "No song twice. Everybody adds three.", 1),
    ),
    Task.State.DOING: (
        ("Plan B for rain", "The barn is free from five.", 0),
        ("String up the lights", "", 2),
    ),
    Task.State.DONE: (("Choose a day", "Saturday after midsummer.", 0), ("Mow the lawn", "", 1)),
}


class Command(BaseCommand):
    """Creates demo users, and the first rows of each kind, unless they exist."""

    help = "Create demo users, and the first rows of each kind."

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """Run the command."""
        users = [_user(name) for name in DEMO_USERS]
        if not Page.objects.exists():
            page = Page.objects.create(title=TITLE, owner=users[0])
            with documents.edit(page.slug, user=users[0]) as doc:
                write_welcome(doc)
        if not Board.objects.exists():
            fill(Board.objects.create(title=BOARD, owner=users[0]), users)
            record_first()
        if not Meeting.objects.exists():
            Meeting.objects.create(title=MEETING, place="The barn", agenda=AGENDA)


def _user(name: str) -> User:
    user, is_new = User.objects.get_or_create(
        username=name, defaults={"first_name": name.capitalize()}
    )
    if is_new:
        user.set_password(DEMO_PASSWORD)
        # With access to the admin, which lists the documents.
        user.is_staff = user.is_superuser = True
        user.save()
    return user


def fill(board: Board, users: list[User]) -> None:
    """Create the first tasks of a board, as ordinary rows."""
    Task.objects.bulk_create(
        Task(
            board=board,
            state=state,
            position=position,
            title=title,
            description=description,
            author=users[author],
        )
        for state, tasks in TASKS.items()
        for position, (title, description, author) in enumerate(tasks)
    )


def write_welcome(doc: Doc[Any]) -> None:
    """Write the first page as a tree of the editor's node types."""
    body = doc.get("default", type=XmlFragment)
    body.children.append(XmlElement("heading", contents=[XmlText("Write together")]))
    body.children.append(_paragraph("All users who open this page write in the same text."))
    items = [XmlElement("listItem", contents=[_paragraph(step)]) for step in STEPS]
    body.children.append(XmlElement("orderedList", contents=items))
    body.children.append(_paragraph(""))


def _paragraph(text: str) -> XmlElement:
    return XmlElement("paragraph", contents=[XmlText(text)] if text else [])
