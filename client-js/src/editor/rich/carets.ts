/** Cursors and selections of the others. */
import { Extension } from "@tiptap/core";
import type { Plugin } from "@tiptap/pm/state";
import { yCursorPlugin } from "@tiptap/y-tiptap";
import type { Awareness } from "y-protocols/awareness";

import { make } from "../frame.js";
import { personOf, type Person } from "../person.js";

/** The letters of a colour's opacity in selections. */
const PALE = "40";

export function carets(awareness: Awareness): Extension {
  return Extension.create({
    name: "collabCarets",
    addProseMirrorPlugins: () => {
      const person = (client: number): Person => personOf(awareness.getStates().get(client));
      const builders = {
        cursorBuilder: (_user: unknown, client: number) => caret(person(client)),
        selectionBuilder: (_user: unknown, client: number) => ({
          style: `background-color: ${person(client).color}${PALE}`,
        }),
      };
      return [yCursorPlugin(awareness, builders) as Plugin];
    },
  });
}

function caret({ name, color }: Person): HTMLElement {
  const label = make("span", { class: "collaboration-carets__label" }, name);
  label.style.backgroundColor = color;
  const element = make("span", { class: "collaboration-carets__caret" }, label);
  element.style.borderColor = color;
  return element;
}
