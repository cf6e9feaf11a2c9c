// The editors in a browser: each opens a document of a server and says what it shows.

import { BlockNoteEditor } from "@blocknote/core";
import { Editor } from "@tiptap/core";
import Collaboration from "@tiptap/extension-collaboration";
import { EditorState } from "prosemirror-state";
import { EditorView } from "prosemirror-view";
import Quill from "quill";
import { ySyncPlugin } from "y-prosemirror";
import { QuillBinding } from "y-quill";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { editor as basic } from "./basic.js";
import { extensions } from "./tiptap-extensions.js";

const editors = {
  tiptap: (element, doc) => {
    const editor = new Editor({ element, extensions: [...extensions, Collaboration.configure({ document: doc })] });
    return { json: () => editor.getJSON(), type: (text) => editor.commands.insertContentAt(1, text), close: () => editor.destroy() };
  },
  basic: (element, doc) => {
    const plugins = [ySyncPlugin(doc.getXmlFragment("prosemirror"))];
    const view = new EditorView(element, { state: EditorState.create({ schema: basic.schema, plugins }) });
    return { json: () => view.state.doc.toJSON(), type: (text) => view.dispatch(view.state.tr.insertText(text, 1)), close: () => view.destroy() };
  },
  blocknote: (element, doc, provider) => {
    const collaboration = { fragment: doc.getXmlFragment("document-store"), user: { name: "Ann", color: "#f00" }, provider };
    const editor = BlockNoteEditor.create({ collaboration });
    editor.mount(element);
    const type = (text) => editor.insertBlocks([{ type: "paragraph", content: text }], editor.document[0].id, "before");
    return { json: () => editor.document, type, close: () => editor.unmount() };
  },
  quill: (element, doc, provider) => {
    const quill = new Quill(element);
    const binding = new QuillBinding(doc.getText("quill"), quill, provider.awareness);
    return { json: () => quill.getContents().ops, type: (text) => quill.insertText(0, text, "user"), close: () => binding.destroy() };
  },
};

const open = (url, room) => {
  const doc = new Y.Doc();
  const provider = new WebsocketProvider(url, room, doc, { disableBc: true });
  let changes = 0;
  doc.on("update", (_, origin) => (changes += origin === provider ? 0 : 1));
  return { doc, provider, changes: () => changes };
};

const synced = (provider) => new Promise((resolve) => (provider.synced ? resolve() : provider.once("sync", resolve)));

const idle = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 0)));

/**
 * Open a document in an editor, as a page does: before its content has come.
 *
 * @returns what the editor shows, and how many updates it has made by itself; with a text typed, what it shows then.
 */
window.show = async (name, url, room, text) => {
  const element = document.body.appendChild(document.createElement("div"));
  const { doc, provider, changes } = open(url, room);
  const editor = editors[name](element, doc, provider);
  await synced(provider);
  await idle();
  await idle();
  const shown = { json: editor.json(), changes: changes() };
  if (text !== undefined) {
    editor.type(text);
    await idle();
    shown.typed = editor.json();
  }
  editor.close();
  provider.destroy();
  element.remove();
  return shown;
};
