/** Authors in a rich text. */
import type { Editor } from "@tiptap/core";
import type { Node } from "@tiptap/pm/model";
import { Decoration, DecorationSet } from "@tiptap/pm/view";

import type { Letters } from "../surface.js";

export function showAuthors(editor: Editor, { runs }: Letters): void {
  let shown: Node | undefined;
  let set = DecorationSet.empty;
  // Not a plugin: a further one would end those of the shared document and begin them anew.
  editor.view.setProps({
    decorations: ({ doc }) => {
      if (doc !== shown) set = DecorationSet.create(doc, decorations(doc, runs));
      shown = doc;
      return set;
    },
  });
}

function decorations(doc: Node, runs: Letters["runs"]): Decoration[] {
  const found: Decoration[] = [];
  let [number, used] = [0, 0];
  doc.descendants((node, position) => {
    let at = position;
    const end = position + (node.text?.length ?? 0);
    for (let run = runs[number]; run && at < end; run = runs[number]) {
      const length = Math.min(end - at, run.text.length - used);
      found.push(Decoration.inline(at, at + length, { class: run.className }));
      at += length;
      used += length;
      if (used === run.text.length) [number, used] = [number + 1, 0];
    }
  });
  return found;
}
