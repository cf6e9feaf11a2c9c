// Uses versions with BlockNote's own extension, and prints what it sees as JSON.
//
// Arguments: the address of websockets, that of the document's versions, and the document.
import { Window } from "happy-dom";
import { createVersioning } from "../../../client-js/dist/versioning.js";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

const window = new Window({ url: "http://localhost/" });
const names = ["document", "HTMLElement", "Element", "Node", "MutationObserver", "DOMParser", "Event"];
for (const name of [...names, "CustomEvent", "KeyboardEvent", "Range", "Text", "DocumentFragment"]) {
  globalThis[name] = window[name];
}
for (const name of ["getSelection", "requestAnimationFrame", "cancelAnimationFrame"]) {
  globalThis[name] = window[name].bind(window);
}
globalThis.window = window;

const { BlockNoteEditor } = await import("@blocknote/core");
const { VersioningExtension } = await import("@blocknote/core/extensions");
const { createYjsVersioningAdapter, withCollaboration } = await import("@blocknote/core/yjs");

const [server, versions, name] = process.argv.slice(2);
const doc = new Y.Doc();
const provider = new WebsocketProvider(server, name, doc, { WebSocketPolyfill: WebSocket, disableBc: true });
const fragment = doc.getXmlFragment("document-store");

/** Wait for an update after which a condition holds. */
const until = (holds) =>
  new Promise((resolve) => {
    const check = () => {
      if (!holds()) return;
      doc.off("update", check);
      resolve();
    };
    doc.on("update", check);
    check();
  });

await new Promise((resolve) => provider.once("sync", resolve));
const collaboration = { fragment, user: { name: "Ann", color: "#1d4ed8" }, provider };
const token = "a".repeat(32);
const endpoints = createVersioning(versions, {
  headers: { Cookie: `csrftoken=${token}` },
  csrfToken: token,
});

// As docs/history.md has it.
function restoredByServer(adapter) {
  const applyRestore = () => adapter.preview.exitPreview();
  return { ...adapter, preview: { ...adapter.preview, applyRestore } };
}

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
editor.mount(document.createElement("div"));
const extension = editor.getExtension(VersioningExtension);

const blocks = () => JSON.parse(JSON.stringify(editor.document));
const write = (...lines) =>
  editor.replaceBlocks(
    editor.document,
    lines.map((content, index) => ({ id: `b${index}`, type: index ? "paragraph" : "heading", content })),
  );

/** Wait until the server has what is here: it answers what it lacks with its own state. */
async function stored() {
  const wanted = JSON.stringify([...Y.decodeStateVector(Y.encodeStateVector(doc))].sort());
  for (;;) {
    const made = await endpoints.create(null, { name: "Probe" });
    const copy = new Y.Doc();
    Y.applyUpdateV2(copy, await endpoints.getContent(made));
    await endpoints.remove(made);
    if (JSON.stringify([...Y.decodeStateVector(Y.encodeStateVector(copy))].sort()) === wanted) return;
  }
}

const seen = {
  can: [extension.canCreate, extension.canRestore, extension.canRename, extension.canRemove],
};
write("Title", "First");
await stored();
const first = await extension.create({ name: "Monday" });
const then = blocks();
write("Other title", "Second", "Third");
await stored();
seen.listed = (await extension.list()).map((version) => version.name ?? null);
await extension.previewSnapshot(first);
seen.previewed = blocks();
extension.exitPreview();
seen.present = editor.prosemirrorState.doc.textContent;
await extension.rename(first.id, "Tuesday");
await extension.restore(first.id);
await until(() => JSON.stringify(blocks()) === JSON.stringify(then));
seen.then = then;
seen.restored = blocks();
seen.after = (await extension.list()).map((version) => version.name ?? null);
await extension.remove(first.id);
seen.left = (await extension.list()).map((version) => version.name ?? null);
process.stdout.write(JSON.stringify(seen));
provider.destroy();
process.exit(0);
