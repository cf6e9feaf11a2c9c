// BlockNote's default blocks, and its own conversion on a server.

import { ServerBlockNoteEditor } from "@blocknote/server-util";
import * as binding from "y-prosemirror";
import { documents as made, outline } from "./prosemirror.js";
import { inWords } from "./random.js";

const server = ServerBlockNoteEditor.create();
const schema = server.editor.pmSchema;

const colors = ["default", "red", "yellow"];
const options = {
  binding,
  schema,
  field: "document-store",
  attributes: {
    id: (random) => `block-${random.below(1e9)}`,
    backgroundColor: colors,
    textColor: colors,
    stringValue: ["red", "blue"],
    textAlignment: ["left", "center"],
    level: [1, 2, 3],
    checked: [true, false],
    language: ["text", "python"],
    name: ["", "a <file>.png"],
    url: ["", "https://example.org/a.png"],
    caption: ["", "A caption"],
    showPreview: [true, false],
    previewWidth: [undefined, 120],
    start: [undefined, 3],
    href: ["https://example.org/?a=1&b=2", "/c"],
    colwidth: [null, [120]],
  },
  skipped: ["insertion", "deletion", "modification"],
  describe: () => ({}),
};

export const editor = {
  outline: () => outline(schema),
  documents: async function* (count) {
    for (const document of made({ ...options, count })) {
      // The result of edits is not always readable by BlockNote itself.
      try {
        const doc = server.editor ? document.doc : null;
        const blocks = server.yDocToBlocks(doc, options.field);
        const words = inWords(blocks);
        yield {
          ...document,
          doc: undefined,
          blocks,
          html: await server.blocksToHTMLLossy(blocks),
          markdown: await server.blocksToMarkdownLossy(blocks),
          words: { json: words, markdown: await server.blocksToMarkdownLossy(words) },
        };
      } catch (error) {
        if (!(error instanceof Error)) throw error;
      }
    }
  },
};
