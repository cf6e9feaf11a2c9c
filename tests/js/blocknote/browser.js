// BlockNote with its own extension for versions, in a page of the project that serves the document.

import { BlockNoteEditor } from "@blocknote/core";
import { VersioningExtension } from "@blocknote/core/extensions";
import { createYjsVersioningAdapter, withCollaboration } from "@blocknote/core/yjs";
import { yXmlFragmentToProsemirrorJSON } from "y-prosemirror";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";
import { createVersioning } from "../../../client-js/dist/versioning.js";

// As docs/history.md has it.
function restoredByServer(adapter) {
  const applyRestore = () => adapter.preview.exitPreview();
  return { ...adapter, preview: { ...adapter.preview, applyRestore } };
}

const plain = (value) => JSON.parse(JSON.stringify(value));

/** Open a document in the page; `window.blocknote` has what a test uses of it. */
window.openDocument = async (name) => {
  const doc = new Y.Doc();
  const provider = new WebsocketProvider(`ws://${location.host}/ws`, name, doc, { disableBc: true });
  await new Promise((resolve) => provider.once("sync", resolve));
  const fragment = doc.getXmlFragment("document-store");
  const collaboration = { fragment, user: { name: "Ann", color: "#1d4ed8" }, provider };
  const endpoints = createVersioning(`/history/${name}/versions/`);
  const editor = BlockNoteEditor.create(
    withCollaboration({
      collaboration,
      extensions: [
        VersioningExtension((made) => ({
          endpoints,
          ...restoredByServer(createYjsVersioningAdapter(made, collaboration)),
        })),
      ],
    }),
  );
  editor.mount(document.body.appendChild(document.createElement("div")));
  const extension = editor.getExtension(VersioningExtension);
  window.blocknote = {
    can: ["canCreate", "canRestore", "canRename", "canRemove"].map((key) => extension[key]),
    blocks: () => plain(editor.document),
    prosemirror: () => plain(yXmlFragmentToProsemirrorJSON(fragment)),
    replace: (blocks) => void editor.replaceBlocks(editor.document, blocks),
    update: (id, block) => void editor.updateBlock(id, block),
    moveUp: (id) => void (editor.setTextCursorPosition(id), editor.moveBlocksUp()),
    remove: (id) => void editor.removeBlocks([id]),
    /** The names of the versions, the newest first, who made each, and the newest. */
    names: async () => (await extension.list()).map((version) => version.name ?? null),
    authors: async () => (await extension.list()).map(({ by }) => by),
    latest: async () => (await extension.list())[0].id,
    create: async (title) => (await extension.create({ name: title })).id,
    preview: (id) => extension.previewSnapshot(id),
    exitPreview: () => extension.exitPreview(),
    rename: (id, title) => extension.rename(id, title),
    restore: async (id) => void (await extension.restore(id)),
    removeVersion: (id) => extension.remove(id),
    /** The JSON of y-prosemirror of a version. */
    version: async (id) => {
      const copy = new Y.Doc();
      Y.applyUpdate(copy, await endpoints.getContent({ id }));
      return plain(yXmlFragmentToProsemirrorJSON(copy.getXmlFragment("document-store")));
    },
  };
};
