// Deltas as Quill's binding stores them in a shared text, written by two at once.

import * as Y from "yjs";
import { Random } from "./random.js";

const LINES = [{ header: 2 }, { list: "bullet" }, { list: "ordered", indent: 1 }, { list: "checked" }, { blockquote: true }, { "code-block": "python" }, { align: "right" }, {}];
const FORMATS = [{ bold: true }, { italic: true, color: "#ff0000" }, { link: "https://example.org" }, { script: "sub" }, {}];

function write(random, text) {
  for (let count = 1 + random.below(6); count > 0; count -= 1) {
    const index = random.below(text.length + 1);
    const delta = [{ retain: index }];
    switch (random.below(5)) {
      case 0:
        delta.push({ delete: Math.min(random.below(4), text.length - index) || 1 });
        if (index >= text.length) continue;
        break;
      case 1:
        delta.push({ insert: { image: "https://example.org/a.png" }, attributes: random.pick(FORMATS) });
        break;
      case 2:
        delta.push({ retain: Math.min(random.below(5) + 1, text.length - index), attributes: { bold: random.pick([true, null]) } });
        break;
      default:
        delta.push({ insert: random.text(), attributes: random.pick(FORMATS) }, { insert: "\n", attributes: random.pick(LINES) });
    }
    text.applyDelta(delta.filter((operation) => operation.retain !== 0));
  }
}

function* documents(count) {
  for (let seed = 1; seed <= count; seed += 1) {
    const random = new Random(seed);
    const docs = [new Y.Doc(), new Y.Doc()];
    docs.forEach((doc) => (doc.clientID = random.below(2 ** 31)));
    for (let turn = 0; turn < 3; turn += 1) {
      docs.forEach((doc) => write(random, doc.getText("quill")));
      Y.applyUpdate(docs[1], Y.encodeStateAsUpdate(docs[0]));
      Y.applyUpdate(docs[0], Y.encodeStateAsUpdate(docs[1]));
    }
    const update = Y.encodeStateAsUpdate(docs[0]);
    const doc = new Y.Doc();
    Y.applyUpdate(doc, update);
    yield { name: `quill ${seed}`, update: Buffer.from(update).toString("base64"), delta: doc.getText("quill").toDelta() };
  }
}

export const editor = { documents };
