// Documents of Tiptap, with its own HTML and Markdown.

import { getSchema } from "@tiptap/core";
import { generateHTML } from "@tiptap/html";
import { MarkdownManager } from "@tiptap/markdown";
import * as binding from "@tiptap/y-tiptap";
import { outline } from "./prosemirror.js";
import { inWords } from "./random.js";
import { extensions } from "./tiptap-extensions.js";

const schema = getSchema(extensions);
const markdown = new MarkdownManager({ extensions });

export const attributes = {
  textAlign: ["left", "center", "right", null],
  level: [1, 2, 3, 4, 5, 6],
  start: [1, 3, 12],
  type: [null, "a"],
  checked: [true, false],
  language: [null, "python", "c++"],
  src: ["https://example.org/a.png?b=1&c=%20", "/relative.png"],
  alt: [null, "a <picture>", "שלום"],
  title: [null, "ti\"tle"],
  width: [null, 120],
  href: ["https://example.org/?a=1&b=2", "mailto:a@example.org", "/path (1)", "javascript:alert(1)"],
  id: ["7", 7],
  label: [null, "Ann 😀"],
  align: [null, "right", "center"],
  colwidth: [null, [120]],
};

export const editor = {
  binding,
  schema,
  field: "default",
  attributes,
  describe: (root) => {
    const words = inWords(root.toJSON());
    return {
      html: generateHTML(root.toJSON(), extensions),
      markdown: markdown.serialize(root.toJSON()),
      words: { json: words, markdown: markdown.serialize(words) },
    };
  },
  outline: () => outline(schema),
  fromMarkdown: (text) => schema.nodeFromJSON(markdown.parse(text)).toJSON(),
};
