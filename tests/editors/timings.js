// Times BlockNote's and Hocuspocus' conversions: node timings.js, with a document's JSON on standard input.

import { readFileSync } from "node:fs";
import { ServerBlockNoteEditor } from "@blocknote/server-util";
import { TiptapTransformer } from "@hocuspocus/transformer";
import { generateHTML } from "@tiptap/html";
import { MarkdownManager } from "@tiptap/markdown";
import * as Y from "yjs";
import { extensions } from "./tiptap-extensions.js";

const { rounds, tiptap, blocknote } = JSON.parse(readFileSync(0, "utf-8"));
const server = ServerBlockNoteEditor.create();
const manager = new MarkdownManager({ extensions });

const load = (update) => {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, update);
  return doc;
};

const timed = async (work) => {
  const times = [];
  for (let round = 0; round < rounds; round += 1) {
    const before = process.cpuUsage();
    await work();
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1e6);
  }
  return times.sort((one, other) => one - other)[Math.floor(rounds / 2)];
};

const page = Y.encodeStateAsUpdate(TiptapTransformer.toYdoc(tiptap, "default", extensions));
const blocks = Y.encodeStateAsUpdate(server.blocksToYDoc(blocknote, "document-store"));
const result = {
  hocuspocus: {
    write: await timed(() => Y.encodeStateAsUpdate(TiptapTransformer.toYdoc(tiptap, "default", extensions))),
    json: await timed(() => TiptapTransformer.fromYdoc(load(page), "default")),
    html: await timed(() => generateHTML(TiptapTransformer.fromYdoc(load(page), "default"), extensions)),
    markdown: await timed(() => manager.serialize(TiptapTransformer.fromYdoc(load(page), "default"))),
  },
  blocknote: {
    write: await timed(() => Y.encodeStateAsUpdate(server.blocksToYDoc(blocknote, "document-store"))),
    json: await timed(() => server.yDocToBlocks(load(blocks), "document-store")),
    html: await timed(() => server.blocksToHTMLLossy(server.yDocToBlocks(load(blocks), "document-store"))),
    markdown: await timed(() => server.blocksToMarkdownLossy(server.yDocToBlocks(load(blocks), "document-store"))),
  },
};
process.stdout.write(JSON.stringify(result), () => process.exit(0));
