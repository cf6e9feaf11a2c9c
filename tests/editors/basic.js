// ProseMirror's own example schema, with its lists, and a mark that overlaps itself.

import { Schema } from "prosemirror-model";
import { marks, nodes } from "prosemirror-schema-basic";
import { addListNodes } from "prosemirror-schema-list";
import * as binding from "y-prosemirror";
import { outline } from "./prosemirror.js";

const comment = { attrs: { id: {}, resolved: { default: false } }, excludes: "" };
const withLists = addListNodes(new Schema({ nodes, marks }).spec.nodes, "paragraph block*", "block");
const schema = new Schema({ nodes: withLists, marks: { ...marks, comment } });

export const editor = {
  binding,
  schema,
  field: "prosemirror",
  attributes: {
    level: [1, 2, 3],
    order: [1, 4],
    src: ["https://example.org/a.png", "/b.png"],
    href: ["https://example.org/", "/c"],
    title: [null, "t"],
    alt: [null, "alt"],
    id: ["c1", 1, 2.5, "שלום"],
    resolved: [true, false],
  },
  describe: () => ({}),
  outline: () => outline(schema),
};
