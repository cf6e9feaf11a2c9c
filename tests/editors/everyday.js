// Everyday texts, as Tiptap and BlockNote read and write them.

import { readFileSync } from "node:fs";
import { ServerBlockNoteEditor } from "@blocknote/server-util";
import { generateHTML, generateJSON } from "@tiptap/html";
import { MarkdownManager } from "@tiptap/markdown";
import { extensions } from "./tiptap-extensions.js";

const { html, markdown } = JSON.parse(readFileSync(new URL("./everyday.json", import.meta.url), "utf-8"));
const manager = new MarkdownManager({ extensions });
const server = ServerBlockNoteEditor.create();

async function* documents() {
  for (const [kind, texts] of Object.entries({ html, markdown })) {
    for (const text of texts) {
      const json = kind === "html" ? generateJSON(text, extensions) : manager.parse(text);
      const blocks = kind === "html" ? await server.tryParseHTMLToBlocks(text) : await server.tryParseMarkdownToBlocks(text);
      yield {
        name: text,
        kind,
        tiptap: { json, html: generateHTML(json, extensions), markdown: manager.serialize(json) },
        blocknote: { json: blocks, html: await server.blocksToHTMLLossy(blocks), markdown: await server.blocksToMarkdownLossy(blocks) },
      };
    }
  }
}

export const editor = { documents };
