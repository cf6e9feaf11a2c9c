// Documents that ProseMirror editors made, two at once, and what those editors say they are.

import { Transform } from "prosemirror-transform";
import * as Y from "yjs";
import { Random, Writer, edited } from "./random.js";

/**
 * Write documents as an editor's binding does it.
 *
 * @param binding functions of y-prosemirror, or of one that is like it.
 * @param describe what is compared of a document, beside its JSON.
 */
export function* documents({ binding, schema, field, attributes, skipped, count, describe }) {
  for (let seed = 1; seed <= count; seed += 1) {
    const random = new Random(seed);
    const writer = new Writer(random, schema, attributes, skipped);
    const update = Y.encodeStateAsUpdate(writeTogether(binding, schema, field, random, writer));
    // As others read it: letters that an edit has cut in halves are replaced in the bytes.
    const doc = new Y.Doc();
    Y.applyUpdate(doc, update);
    const fragment = doc.getXmlFragment(field);
    const raw = binding.yXmlFragmentToProsemirrorJSON(fragment);
    const root = binding.yXmlFragmentToProseMirrorRootNode(fragment, schema);
    yield {
      name: `${field} ${seed}`,
      update: Buffer.from(update).toString("base64"),
      raw,
      json: root.toJSON(),
      doc,
      ...describe(root, doc),
    };
  }
}

function writeTogether(binding, schema, field, random, writer) {
  const [one, other] = [new Y.Doc(), new Y.Doc()];
  one.clientID = random.below(2 ** 31);
  other.clientID = random.below(2 ** 31);
  write(binding, one, field, writer.document());
  for (let turn = 0; turn < 3; turn += 1) {
    sync(one, other);
    const undo = new Y.UndoManager(one.getXmlFragment(field), { trackedOrigins: new Set([null, "y-sync$"]), captureTimeout: 0 });
    for (const doc of [one, other]) {
      const fragment = doc.getXmlFragment(field);
      const node = binding.yXmlFragmentToProseMirrorRootNode(fragment, schema);
      write(binding, doc, field, edited(random, schema, node, writer, Transform));
    }
    if (random.below(3) === 0) undo.undo();
    undo.destroy();
  }
  sync(one, other);
  return one;
}

function write(binding, doc, field, node) {
  const metadata = { mapping: new Map(), isOMark: new Map() };
  binding.updateYFragment(doc, doc.getXmlFragment(field), node, metadata);
}

function sync(one, other) {
  Y.applyUpdate(other, Y.encodeStateAsUpdate(one, Y.encodeStateVector(other)));
  Y.applyUpdate(one, Y.encodeStateAsUpdate(other, Y.encodeStateVector(one)));
}

/** The nodes and marks of a schema, for comparison with a table. */
export function outline(schema) {
  const attributes = (type) =>
    Object.fromEntries(
      Object.entries(type.spec.attrs ?? {}).map(([name, { default: value }]) => [name, value ?? null]),
    );
  const nodes = Object.values(schema.nodes).map((type) => ({
    name: type.name,
    content: type.spec.content ?? "",
    groups: (type.spec.group ?? "").split(" ").filter(Boolean),
    attributes: attributes(type),
    inline: type.isInline,
    marks: type.isTextblock && type.markSet && !type.markSet.length ? [] : null,
  }));
  const marks = Object.values(schema.marks).map((type) => ({ name: type.name, attributes: attributes(type), overlaps: !type.excludes(type) }));
  return { nodes, marks };
}
