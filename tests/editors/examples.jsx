// Tiptap's and BlockNote's collaboration, set up as their examples do it, with the provider of Hocuspocus.

import { CommentsExtension, DefaultThreadStoreAuth, YjsThreadStore } from "@blocknote/core/comments";
import { BlockNoteView } from "@blocknote/mantine";
import { useCreateBlockNote } from "@blocknote/react";
import { HocuspocusProvider } from "@hocuspocus/provider";
import { Editor } from "@tiptap/core";
import Collaboration from "@tiptap/extension-collaboration";
import CollaborationCaret from "@tiptap/extension-collaboration-caret";
import StarterKit from "@tiptap/starter-kit";
import { useMemo } from "react";
import { createRoot } from "react-dom/client";
import * as Y from "yjs";

import "@blocknote/core/fonts/inter.css";
import "@blocknote/mantine/style.css";

const root = document.body.appendChild(document.createElement("main"));

function connect(url, name, user) {
  const doc = new Y.Doc();
  window.provider = new HocuspocusProvider({ url, name, document: doc, token: user.name });
  return { doc, provider: window.provider };
}

window.openTiptap = (url, name, user) => {
  const { doc, provider } = connect(url, name, user);
  return void new Editor({
    element: root,
    extensions: [
      StarterKit.configure({ undoRedo: false }),
      Collaboration.configure({ document: doc }),
      CollaborationCaret.configure({ provider, user }),
    ],
  });
};

function Commented({ doc, provider, user }) {
  const threadStore = useMemo(() => {
    const auth = new DefaultThreadStoreAuth(user.name, "editor");
    return new YjsThreadStore(user.name, doc.getMap("threads"), auth);
  }, [doc, user]);
  const resolveUsers = async (ids) => ids.map((id) => ({ id, username: id, avatarUrl: "data:," }));
  const editor = useCreateBlockNote({
    extensions: [CommentsExtension({ threadStore, resolveUsers })],
    collaboration: { provider, fragment: doc.getXmlFragment("document-store"), user },
  });
  return <BlockNoteView editor={editor} />;
}

window.openBlockNote = (url, name, user) => {
  const { doc, provider } = connect(url, name, user);
  createRoot(root).render(<Commented doc={doc} provider={provider} user={user} />);
};
