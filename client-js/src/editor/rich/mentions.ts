/** Suggestions of people to mention, from an address of the project. */
import { Extension, type Editor } from "@tiptap/core";
import { Plugin, type EditorState } from "@tiptap/pm/state";
import type { EditorView } from "@tiptap/pm/view";

import { make } from "../frame.js";
import type { Place } from "../surface.js";

interface Candidate {
  id: string;
  label: string;
}

/** The text before the cursor, from the sign on. */
interface Query {
  from: number;
  to: number;
  text: string;
}

const PAUSE = 150;
const SHOWN = 8;
const BEGUN = /(?:^|[\s(])@([\p{L}\p{N}_.-]{0,30})$/u;
let lists = 0;

export const mentions = (place: Place, address: string): Extension =>
  Extension.create({
    name: "collabMentions",
    // Before the keys of lists and tables.
    priority: 1100,
    addProseMirrorPlugins() {
      const list = new Suggestions(this.editor, place, address);
      return [
        new Plugin({
          props: { handleKeyDown: (_view, event) => list.handleKey(event) },
          view: () => ({ update: (view) => list.update(view), destroy: () => list.close() }),
        }),
      ];
    },
  });

function queryIn({ selection }: EditorState): Query | undefined {
  const { $from, empty } = selection;
  if (!empty || $from.parent.type.spec.code) return undefined;
  const before = $from.parent.textBetween(Math.max(0, $from.parentOffset - 40), $from.parentOffset, undefined, "\ufffc");
  const text = BEGUN.exec(before)?.[1];
  if (text === undefined) return undefined;
  return { from: $from.pos - text.length - 1, to: $from.pos, text };
}

class Suggestions {
  readonly #editor: Editor;
  readonly #place: Place;
  readonly #address: string;
  readonly #list: HTMLElement;
  #query: Query | undefined;
  #closed: number | undefined;
  #candidates: Candidate[] = [];
  #chosen = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(editor: Editor, place: Place, address: string) {
    this.#editor = editor;
    this.#place = place;
    this.#address = address;
    lists += 1;
    const attributes = { class: "collab-mentions", role: "listbox", id: `collab-mentions-${String(lists)}`, hidden: "" };
    this.#list = make("ul", { ...attributes, "aria-label": place.t("People to mention") });
    place.host.append(this.#list);
  }

  update(view: EditorView): void {
    const query = view.editable && view.hasFocus() ? queryIn(view.state) : undefined;
    if (query?.from === this.#query?.from && query?.text === this.#query?.text) return;
    this.#query = query;
    clearTimeout(this.#timer);
    if (!query || query.from === this.#closed) {
      this.close();
      return;
    }
    this.#closed = undefined;
    this.#timer = setTimeout(() => void this.#ask(query), PAUSE);
  }

  handleKey({ key }: KeyboardEvent): boolean {
    if (this.#list.hidden) return false;
    const count = this.#candidates.length;
    if (key === "ArrowDown" || key === "ArrowUp") {
      this.#choose((this.#chosen + (key === "ArrowDown" ? 1 : count - 1)) % count);
    } else if (key === "Enter" || key === "Tab") {
      this.#insert(this.#candidates[this.#chosen]);
    } else if (key === "Escape") {
      this.#closed = this.#query?.from;
      this.close();
    } else {
      return false;
    }
    return true;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#list.hidden = true;
    this.#editor.view.dom.removeAttribute("aria-activedescendant");
    this.#editor.view.dom.removeAttribute("aria-controls");
  }

  async #ask(query: Query): Promise<void> {
    const address = new URL(this.#address, location.href);
    address.searchParams.set("q", query.text);
    try {
      const response = await fetch(address, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      const candidates = candidatesIn(await response.json());
      // Letters typed meanwhile ask for themselves.
      if (this.#query === query) this.#show(candidates);
    } catch {
      if (this.#query === query) this.#place.notify(this.#place.t("The people to mention could not be loaded."));
    }
  }

  #show(candidates: Candidate[]): void {
    this.#candidates = candidates.slice(0, SHOWN);
    if (this.#candidates.length === 0 || !this.#query) {
      this.close();
      return;
    }
    this.#list.replaceChildren(...this.#candidates.map((candidate, index) => this.#option(candidate, index)));
    this.#list.hidden = false;
    const { left, bottom } = this.#editor.view.coordsAtPos(this.#query.from);
    const box = this.#place.host.getBoundingClientRect();
    const room = Math.max(0, box.width - this.#list.offsetWidth);
    this.#list.style.left = `${String(Math.min(left - box.left, room))}px`;
    this.#list.style.top = `${String(bottom - box.top + 4)}px`;
    this.#editor.view.dom.setAttribute("aria-controls", this.#list.id);
    this.#choose(0);
  }

  #option(candidate: Candidate, index: number): HTMLElement {
    const option = make("li", { role: "option", id: `${this.#list.id}-${String(index)}` }, candidate.label);
    // Keeps the focus in the text.
    option.addEventListener("mousedown", (event) => {
      event.preventDefault();
      this.#insert(candidate);
    });
    return option;
  }

  #choose(index: number): void {
    this.#chosen = index;
    [...this.#list.children].forEach((option, at) => option.setAttribute("aria-selected", String(at === index)));
    this.#editor.view.dom.setAttribute("aria-activedescendant", `${this.#list.id}-${String(index)}`);
  }

  #insert(candidate: Candidate | undefined): void {
    const query = this.#query;
    if (!candidate || !query) return;
    this.close();
    const { id, label } = candidate;
    const mention = { type: "mention", attrs: { id, label, mentionSuggestionChar: "@" } };
    const content = [mention, { type: "text", text: " " }];
    this.#editor.chain().focus().insertContentAt({ from: query.from, to: query.to }, content).run();
  }
}

/** Return the people in an answer, whatever it is. */
function candidatesIn(answer: unknown): Candidate[] {
  const { results } = answer as { results?: unknown };
  if (!Array.isArray(results)) throw new Error("The answer has no results.");
  return results.map((entry) => {
    const { id, label } = entry as { id: unknown; label: unknown };
    return { id: String(id), label: String(label) };
  });
}
