// Documents that Quill editors made by their own binding, two at once.

import { Window } from "happy-dom";
import * as Y from "yjs";
import { Random } from "./random.js";

// Quill asks for a browser when it is loaded.
const browser = new Window({ url: "http://localhost/" });
for (const name of ["window", "document", "Node", "Element", "HTMLElement", "Text", "MutationObserver", "DOMParser", "navigator"]) {
  Object.defineProperty(globalThis, name, { value: name === "window" ? browser : browser[name], configurable: true });
}
const { default: Quill } = await import("quill");
const { QuillBinding } = await import("y-quill");

const LINES = [{ header: 2 }, { list: "bullet" }, { list: "ordered", indent: 1 }, { list: "checked" }, { blockquote: true }, { "code-block": "python" }, { align: "right" }];
const FORMATS = [{ bold: true }, { italic: true, color: "#ff0000" }, { link: "https://example.org" }, { script: "sub" }, {}];

function opened(random) {
  const doc = new Y.Doc();
  doc.clientID = random.below(2 ** 31);
  const element = browser.document.body.appendChild(browser.document.createElement("div"));
  const quill = new Quill(element, {});
  const text = doc.getText("quill");
  const binding = new QuillBinding(text, quill);
  const undo = new Y.UndoManager(text, { trackedOrigins: new Set([binding]), captureTimeout: 0 });
  return { doc, element, quill, text, binding, undo };
}

/** The places between letters; none is in the middle of one that has two halves. */
function places(quill) {
  const letters = quill.getContents().ops.map(({ insert }) => (typeof insert === "string" ? insert : " ")).join("");
  return [...letters].reduce((found, letter) => [...found, found.at(-1) + letter.length], [0]);
}

function type({ quill, undo }, random) {
  for (let count = 1 + random.below(6); count > 0; count -= 1) {
    const all = places(quill);
    const first = random.below(all.length - 1);
    const index = all[first];
    const length = all[first + random.below(Math.min(all.length - 1 - first, 6))] - index;
    switch (random.below(7)) {
      case 0:
        quill.deleteText(index, length, "user");
        break;
      case 1:
        quill.insertEmbed(index, "image", "https://example.org/a.png", "user");
        break;
      case 2:
        quill.formatText(index, length, random.pick([{ bold: false }, ...FORMATS]), "user");
        break;
      case 3:
        for (const [name, value] of Object.entries(random.pick(LINES))) quill.formatLine(index, 1, name, value, "user");
        break;
      case 4:
        quill.insertText(index, "\n", "user");
        break;
      default:
        quill.insertText(index, random.text(), random.pick(FORMATS), "user");
    }
  }
  if (random.below(3) === 0) undo.undo();
}

function* documents(count) {
  for (let seed = 1; seed <= count; seed += 1) {
    const random = new Random(seed);
    const editors = [opened(random), opened(random)];
    const [one, other] = editors;
    for (let turn = 0; turn < 3; turn += 1) {
      editors.forEach((editor) => type(editor, random));
      Y.applyUpdate(other.doc, Y.encodeStateAsUpdate(one.doc));
      Y.applyUpdate(one.doc, Y.encodeStateAsUpdate(other.doc));
    }
    const update = Y.encodeStateAsUpdate(one.doc);
    // As others read it: letters that an edit has cut in halves are replaced in the bytes.
    const doc = new Y.Doc();
    Y.applyUpdate(doc, update);
    yield {
      name: `quill ${seed}`,
      update: Buffer.from(update).toString("base64"),
      delta: doc.getText("quill").toDelta(),
    };
    editors.forEach(({ binding, undo, element }) => [binding.destroy(), undo.destroy(), element.remove()]);
  }
}

export const editor = { documents };
