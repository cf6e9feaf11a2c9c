"""An editor for templates and forms: ``{% collab_editor "notes/5" %}``.

Add ``"collab.editor"`` to ``INSTALLED_APPS``. The page needs no JavaScript of its own: the element
``<collab-editor>`` and its modules are among the static files of the app.
"""

from collab.editor.document_types import RowDocument, document_name
from collab.editor.fields import CollaborativeTextField

__all__ = ["CollaborativeTextField", "RowDocument", "document_name"]
