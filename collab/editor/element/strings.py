"""Texts of the interface of ``<collab-editor>``, in the languages of the site."""

from __future__ import annotations

import json
from typing import Final

from django.utils.translation import gettext, gettext_noop

__all__ = ["STRINGS", "catalogue"]

_ = gettext_noop
#: The English texts, as they are in the element.
STRINGS: Final = (
    # The status.
    _("Connecting…"),
    _("Offline"),
    _("Closed"),
    _("Read only"),
    _("Saving…"),
    _("Saved"),
    _("Too large to be saved"),
    _("Reload the page"),
    _("Your changes are kept in this browser and sent when the server is back."),
    _("Your changes are kept in this browser. Make the text shorter and reload the page."),
    _("Who is here"),
    _("Guest"),
    _("Text"),
    # The toolbar.
    _("Format"),
    _("Undo"),
    _("Redo"),
    _("Large heading"),
    _("Heading"),
    _("Small heading"),
    _("Bold"),
    _("Italic"),
    _("Underline"),
    _("Strike through"),
    _("Highlight"),
    _("Code"),
    _("Bullet list"),
    _("Numbered list"),
    _("To-do list"),
    _("Align left"),
    _("Center"),
    _("Align right"),
    _("Quote"),
    _("Code block"),
    _("Dividing line"),
    _("Link"),
    _("Image"),
    _("Table"),
    _("Row above"),
    _("Row below"),
    _("Delete row"),
    _("Column before"),
    _("Column after"),
    _("Delete column"),
    _("Merge or split cells"),
    _("Heading row"),
    _("Delete table"),
    # Questions and answers.
    _("Apply"),
    _("Cancel"),
    _("Address of the link"),
    _("Address of the image"),
    _("Description of the image"),
    _("Links lead to websites, mailboxes and telephones only."),
    _("Images cannot be stored here."),
    _("Uploading “%(name)s”…"),
    _("“%(name)s” is in the text."),
    _("“%(name)s” was not uploaded: the server cannot be reached."),
    _("“%(name)s” was refused."),
    _("People to mention"),
    _("The people to mention could not be loaded."),
    # Versions.
    _("Versions"),
    _("Close the versions"),
    _("Name of this version"),
    _("Keep this version"),
    _("This version is kept."),
    _("Show earlier versions"),
    _("There are no versions yet."),
    _("Loading…"),
    _("Without a name"),
    _("Saved automatically"),
    _("Before a restoration"),
    _("Before an import"),
    _("Before a rewrite"),
    _("Unknown author"),
    _("Authors"),
    _("Changes since then"),
    _("Rename"),
    _("Save"),
    _("The name is saved."),
    _("Restore"),
    _("Restore this version"),
    _("Restore the version of %(time)s? The present text is kept as a version."),
    _("The version is restored. The text as it was before is kept as a version."),
    _("The server cannot be reached."),
    _("Log in again to see the versions."),
    _("You may not do this."),
    _("There is no such version any more."),
    _("The server has not answered as expected. Try again later."),
)


def catalogue() -> str:
    """Return the texts that the active language has other words for, as JSON; empty if none."""
    words = {text: translated for text in STRINGS if (translated := gettext(text)) != text}
    return json.dumps(words, ensure_ascii=False) if words else ""
