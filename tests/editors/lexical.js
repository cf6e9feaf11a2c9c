// Lexical documents, as its own binding stores them.

import { createHeadlessEditor } from "@lexical/headless";
import { LinkNode, $createLinkNode } from "@lexical/link";
import { ListItemNode, ListNode, $createListItemNode, $createListNode } from "@lexical/list";
import { $createHeadingNode, $createQuoteNode, HeadingNode, QuoteNode } from "@lexical/rich-text";
import { createBinding, createUndoManager, syncLexicalUpdateToYjs, syncYjsChangesToLexical } from "@lexical/yjs";
import { $createLineBreakNode, $createParagraphNode, $createTextNode, $getRoot } from "lexical";
import * as Y from "yjs";
import { Random } from "./random.js";

const nodes = [HeadingNode, QuoteNode, ListNode, ListItemNode, LinkNode];

function $line(random, node) {
  for (let count = random.below(4); count > 0; count -= 1) {
    const text = $createTextNode(random.text());
    text.setFormat(random.below(32));
    if (random.below(4) === 0) node.append($createLineBreakNode());
    if (random.below(4) === 0) node.append($createLinkNode("https://example.org/?a=1&b=2").append(text));
    else node.append(text);
  }
  return node;
}

function $block(random) {
  switch (random.below(5)) {
    case 0:
      return $line(random, $createHeadingNode(random.pick(["h1", "h2", "h3"])));
    case 1:
      return $line(random, $createQuoteNode());
    case 2: {
      const kind = random.pick(["bullet", "number", "check"]);
      const list = $createListNode(kind, 1);
      for (let count = 1 + random.below(3); count > 0; count -= 1) {
        const item = $createListItemNode(kind === "check" ? random.below(2) === 1 : undefined);
        list.append($line(random, item));
        if (random.below(3) === 0) list.append($createListItemNode().append($createListNode("bullet").append($line(random, $createListItemNode()))));
      }
      return list;
    }
    default: {
      const paragraph = $line(random, $createParagraphNode());
      paragraph.setFormat(random.pick(["", "center", "right"]));
      return paragraph;
    }
  }
}

function opened(clientID) {
  const doc = new Y.Doc();
  doc.clientID = clientID;
  const editor = createHeadlessEditor({ namespace: "corpus", nodes, onError: (error) => { throw error; } });
  const awareness = { getLocalState: () => null, getStates: () => new Map(), setLocalState() {}, on() {}, off() {} };
  const provider = { awareness, connect() {}, disconnect() {}, on() {}, off() {} };
  const binding = createBinding(editor, provider, "main", doc, new Map([["main", doc]]));
  const undo = createUndoManager(binding, binding.root.getSharedType());
  binding.root.getSharedType().observeDeep((events, { origin }) => {
    if (origin !== binding) syncYjsChangesToLexical(binding, provider, events, origin instanceof Y.UndoManager, () => {});
  });
  editor.registerUpdateListener(({ prevEditorState, editorState, dirtyElements, dirtyLeaves, normalizedNodes, tags }) => {
    if (!tags.has("skip-collab")) syncLexicalUpdateToYjs(binding, provider, prevEditorState, editorState, dirtyElements, dirtyLeaves, normalizedNodes, tags);
  });
  return { doc, editor, undo };
}

/** Waits for what an editor does of a change of its document. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function edit({ editor }, random) {
  editor.update(() => {
    const root = $getRoot();
    const texts = root.getAllTextNodes();
    const text = texts.length ? random.pick(texts) : null;
    switch (random.below(6)) {
      case 0:
        root.append($block(random));
        break;
      case 1:
        if (root.getChildrenSize() > 1) random.pick(root.getChildren()).remove();
        break;
      case 2:
        text?.setFormat(random.below(32));
        break;
      case 3:
        text?.insertAfter($createTextNode(random.text()));
        break;
      case 4:
        random.pick(root.getChildren())?.insertBefore($block(random));
        break;
      default:
        text?.setTextContent(`${random.text()}${text.getTextContent()}${random.text()}`);
    }
  }, { discrete: true });
}

async function* documents(count) {
  for (let seed = 1; seed <= count; seed += 1) {
    const random = new Random(seed);
    const editors = [opened(random.below(2 ** 31)), opened(random.below(2 ** 31))];
    const [one, other] = editors;
    one.editor.update(() => { const root = $getRoot(); root.clear(); for (let blocks = 1 + random.below(5); blocks > 0; blocks -= 1) root.append($block(random)); }, { discrete: true });
    for (let turn = 0; turn < 3; turn += 1) {
      Y.applyUpdate(other.doc, Y.encodeStateAsUpdate(one.doc));
      Y.applyUpdate(one.doc, Y.encodeStateAsUpdate(other.doc));
      await settled();
      editors.forEach((editor) => edit(editor, random));
      if (random.below(3) === 0) one.undo.undo();
      await settled();
    }
    Y.applyUpdate(one.doc, Y.encodeStateAsUpdate(other.doc));
    const update = Y.encodeStateAsUpdate(one.doc);
    const reader = opened(0);
    Y.applyUpdate(reader.doc, update);
    await settled();
    yield { name: `lexical ${seed}`, update: Buffer.from(update).toString("base64"), json: reader.editor.getEditorState().toJSON() };
  }
}

export const editor = { documents };
