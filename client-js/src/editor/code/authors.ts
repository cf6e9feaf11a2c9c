/** Authors in code and Markdown. */
import { StateEffect } from "@codemirror/state";
import { Decoration, EditorView } from "@codemirror/view";

import type { Letters } from "../surface.js";

export function showAuthors(view: EditorView, { runs, sheet }: Letters): void {
  const { length } = view.state.doc;
  const marks = [];
  let at = 0;
  for (const { text, className } of runs) {
    const end = Math.min(at + text.length, length);
    if (at < end) marks.push(Decoration.mark({ class: className }).range(at, end));
    at = end;
  }
  const extension = EditorView.decorations.of(Decoration.set(marks));
  view.dispatch({ effects: StateEffect.appendConfig.of(extension) });
  // The text is in a shadow of its own.
  (view.root as ShadowRoot).adoptedStyleSheets.push(sheet);
}
