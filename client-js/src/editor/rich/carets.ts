/** Cursors and selections of the others. */
import { Extension } from "@tiptap/core";
import type { Plugin } from "@tiptap/pm/state";
import { yCursorPlugin } from "@tiptap/y-tiptap";
import type { Awareness } from "y-protocols/awareness";

import { resolved } from "../cursors.js";
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
      return [yCursorPlugin(checked(awareness), builders) as Plugin];
    },
  });
}

type States = Map<number, Record<string, unknown>>;

/** Return presence without cursors that cannot be shown; the plugin believes whatever others send. */
function checked(awareness: Awareness): Awareness {
  const states = (): States => {
    const found: States = new Map();
    for (const [client, { cursor }] of awareness.getStates()) {
      const { anchor, head } = (cursor ?? {}) as Record<string, unknown>;
      const isPlaced = resolved(awareness.doc, anchor) && resolved(awareness.doc, head);
      found.set(client, isPlaced ? { cursor: { anchor, head } } : {});
    }
    return found;
  };
  return Object.create(awareness, { getStates: { value: states } }) as Awareness;
}

function caret({ name, color }: Person): HTMLElement {
  const label = make("span", { class: "collaboration-carets__label" }, name);
  label.style.backgroundColor = color;
  const element = make("span", { class: "collaboration-carets__caret" }, label);
  element.style.borderColor = color;
  return element;
}
