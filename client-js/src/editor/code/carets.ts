/** Cursors and selections of the others in code. */
import { StateEffect, type Extension, type Range } from "@codemirror/state";
import {
  Decoration,
  EditorView,
  ViewPlugin,
  WidgetType,
  type DecorationSet,
  type PluginValue,
  type ViewUpdate,
} from "@codemirror/view";
import type { Awareness } from "y-protocols/awareness";
import type { Text } from "yjs";

import { cursorsIn, publishCursor, type Cursor } from "../cursors.js";
import { make } from "../frame.js";
import type { Person } from "../person.js";

/** The letters of a colour's opacity in selections. */
const PALE = "40";
const moved = StateEffect.define();

class Caret extends WidgetType {
  constructor(readonly person: Person) {
    super();
  }

  override eq({ person }: Caret): boolean {
    return person.name === this.person.name && person.color === this.person.color;
  }

  override toDOM(): HTMLElement {
    const name = make("span", { class: "cm-collab-name" }, this.person.name);
    name.style.backgroundColor = this.person.color;
    const caret = make("span", { class: "cm-collab-caret", "aria-hidden": "true" }, name);
    caret.style.borderColor = this.person.color;
    return caret;
  }

  override ignoreEvent(): boolean {
    return true;
  }
}

/** Return the decorations of a cursor in a text of `length`. */
function decorations({ person, anchor, head }: Cursor, length: number): Range<Decoration>[] {
  const within = (place: number): number => Math.min(place, length);
  const [from, to] = [within(Math.min(anchor, head)), within(Math.max(anchor, head))];
  const caret = Decoration.widget({ widget: new Caret(person), side: head > anchor ? -1 : 1 });
  const ranges = [caret.range(within(head))];
  const style = `background-color: ${person.color}${PALE}`;
  if (from < to) ranges.push(Decoration.mark({ attributes: { style } }).range(from, to));
  return ranges;
}

export function carets(text: Text, awareness: Awareness): Extension {
  class Carets implements PluginValue {
    decorations: DecorationSet = Decoration.none;

    #isGone = false;

    constructor(readonly view: EditorView) {
      awareness.on("change", this.onPresence);
      this.draw(view);
    }

    readonly onPresence = ({ added, updated, removed }: Record<string, number[]>): void => {
      const clients = [added, updated, removed].flatMap((ids) => ids ?? []);
      if (clients.some((client) => client !== awareness.clientID)) {
        this.soon(() => this.view.dispatch({ effects: moved.of(null) }));
      }
    };

    update(update: ViewUpdate): void {
      if (update.selectionSet || update.focusChanged || update.docChanged) {
        this.soon(() => {
          const { anchor, head } = this.view.state.selection.main;
          publishCursor(text, awareness, this.view.hasFocus ? { anchor, head } : undefined);
        });
      }
      this.draw(update.view);
    }

    draw({ state }: EditorView): void {
      const ranges = cursorsIn(text, awareness).flatMap((cursor) => decorations(cursor, state.doc.length));
      this.decorations = Decoration.set(ranges, true);
    }

    /** Run something once the update that is in progress has ended. */
    soon(work: () => void): void {
      queueMicrotask(() => {
        if (!this.#isGone) work();
      });
    }

    destroy(): void {
      this.#isGone = true;
      awareness.off("change", this.onPresence);
    }
  }
  return ViewPlugin.fromClass(Carets, { decorations: (plugin) => plugin.decorations });
}
