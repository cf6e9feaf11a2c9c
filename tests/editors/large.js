// One document of 10,000 paragraphs, which two write at once, as Tiptap stores and shows it.

import { generateHTML } from "@tiptap/html";
import * as Y from "yjs";
import { Random } from "./random.js";
import { extensions } from "./tiptap-extensions.js";
import { editor as tiptap } from "./tiptap.js";

const { binding, schema, field } = tiptap;
const PARAGRAPHS = 10_000;

const write = (doc, nodes) => binding.updateYFragment(doc, doc.getXmlFragment(field), schema.node("doc", null, nodes), { mapping: new Map(), isOMark: new Map() });

const sync = (one, other) => Y.applyUpdate(other, Y.encodeStateAsUpdate(one, Y.encodeStateVector(other)));

function* documents() {
  const random = new Random(1);
  const [one, other] = [new Y.Doc(), new Y.Doc()];
  [one.clientID, other.clientID] = [1, 2];
  const paragraph = () => schema.node("paragraph", null, [schema.text(random.text(), random.below(2) ? [schema.mark("bold")] : [])]);
  const nodes = Array.from({ length: PARAGRAPHS }, paragraph);
  write(one, nodes);
  sync(one, other);
  for (const doc of [one, other]) {
    const changed = nodes.slice();
    for (let count = 0; count < 50; count += 1) changed[random.below(PARAGRAPHS)] = paragraph();
    write(doc, changed);
  }
  sync(one, other);
  sync(other, one);
  const json = binding.yXmlFragmentToProseMirrorRootNode(one.getXmlFragment(field), schema).toJSON();
  yield { name: "large", update: Buffer.from(Y.encodeStateAsUpdate(one)).toString("base64"), json, html: generateHTML(json, extensions) };
}

export const editor = { documents };
