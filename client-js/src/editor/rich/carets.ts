/** Cursors and selections of the others. */
import { Extension } from "@tiptap/core";
import type { Plugin } from "@tiptap/pm/state";
import { yCursorPlugin } from "@tiptap/y-tiptap";
import type { Awareness } from "y-protocols/awareness";

import { make } from "../frame.js";
import { personOf } from "../person.js";

/** The letters of a colour's opacity in selections. */
const PALE = "40";

export function carets(awareness: Awareness): Extension {
  return Extension.create({
    name: "collabCarets",
    addProseMirrorPlugins: () => [
      yCursorPlugin(awareness, { cursorBuilder: caret, selectionBuilder: selection }) as Plugin,
    ],
  });
}

const selection = (user: unknown): { style: string } => ({
  style: `background-color: ${personOf(user).color}${PALE}`,
});

function caret(user: unknown): HTMLElement {
  const { name, color } = personOf(user);
  const label = make("span", { class: "collaboration-carets__label" }, name);
  label.style.backgroundColor = color;
  const element = make("span", { class: "collaboration-carets__caret" }, label);
  element.style.borderColor = color;
  return element;
}
