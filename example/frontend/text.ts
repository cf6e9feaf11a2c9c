/** The rich text editor: Tiptap on a shared document. */
import { Editor } from "@tiptap/core";
import Collaboration from "@tiptap/extension-collaboration";
import CollaborationCaret from "@tiptap/extension-collaboration-caret";
import { TaskItem, TaskList } from "@tiptap/extension-list";
import { Placeholder } from "@tiptap/extensions";
import StarterKit from "@tiptap/starter-kit";
import type { CollabProvider } from "django-collab";
import type { Doc } from "yjs";

import { PasteNotice } from "./pasting.js";
import type { Person } from "./people.js";

export function createEditor(
  element: HTMLElement,
  document: Doc,
  provider: CollabProvider,
  user: Person,
  notice: HTMLElement,
): Editor {
  const pasted = new PasteNotice(notice);
  return new Editor({
    element,
    extensions: [
      // Undo is the shared document's. Without a trailing node, opening a page changes nothing.
      StarterKit.configure({ undoRedo: false, trailingNode: false }),
      TaskList,
      TaskItem.configure({ nested: true }),
      Placeholder.configure({ placeholder: "Write something…" }),
      Collaboration.configure({ document }),
      CollaborationCaret.configure({ provider, user }),
    ],
    editorProps: {
      attributes: { "aria-label": "Text of the page", role: "textbox" },
      handlePaste: (_view, { clipboardData }) => void pasted.check(clipboardData),
      handleDrop: (_view, { dataTransfer }) => void pasted.check(dataTransfer),
    },
  });
}
