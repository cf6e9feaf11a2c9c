/** The dialog of a card; its description is edited together, letter by letter. */
import type { Awareness } from "y-protocols/awareness";
import type { Text } from "yjs";

import { keyOf, type Cards } from "./cards.js";
import { holders } from "./holders.js";
import { column, move, type State, type Tasks } from "./tasks.js";
import { bindText } from "./textarea.js";

export function setUpSheet(
  board: HTMLElement,
  cards: Cards,
  tasks: Tasks,
  awareness: Awareness,
): void {
  const sheet = new Sheet(cards, tasks, awareness);
  const cardOf = ({ target }: Event): HTMLElement | null =>
    target instanceof Element && !target.closest("button") ? target.closest(".task") : null;
  board.addEventListener("click", (event) => {
    const card = cardOf(event);
    if (card) sheet.open(keyOf(card));
  });
  board.addEventListener("keydown", (event) => {
    const card = cardOf(event);
    if (!card || !["Enter", " "].includes(event.key)) return;
    event.preventDefault();
    sheet.open(keyOf(card));
  });
}

class Sheet {
  readonly #dialog = document.getElementById("sheet") as HTMLDialogElement;
  readonly #title = this.#control<HTMLInputElement>("title");
  readonly #state = this.#control<HTMLSelectElement>("state");
  readonly #description = this.#control<HTMLTextAreaElement>("description");
  readonly #remove = this.#control<HTMLButtonElement>("remove");
  #key = "";
  #text: Text | undefined;
  #unbind: (() => void) | undefined;

  constructor(
    readonly cards: Cards,
    readonly tasks: Tasks,
    readonly awareness: Awareness,
  ) {
    this.#title.addEventListener("change", () => tasks.set(this.#key, { title: this.#title.value }));
    this.#state.addEventListener("change", () => this.#move());
    this.#remove.addEventListener("click", () => tasks.delete(this.#key));
    this.#dialog.addEventListener("close", () => this.#closed());
    // A click on the backdrop.
    this.#dialog.addEventListener("click", ({ target }) => {
      if (target === this.#dialog) this.#dialog.close();
    });
    tasks.subscribe(() => this.#show());
    awareness.on("change", () => this.#show());
  }

  #control<E extends Element>(name: string): E {
    return this.#dialog.querySelector<E>(`[name=${name}]`)!;
  }

  open(key: string): void {
    this.#key = key;
    this.#dialog.showModal();
    this.awareness.setLocalStateField("task", key);
    this.#title.value = this.tasks.get(key)!.title;
    this.#show();
  }

  #closed(): void {
    this.awareness.setLocalStateField("task", null);
    this.#bind(undefined);
    this.cards.get(this.#key)?.focus();
  }

  #move(): void {
    const state = this.#state.value as State;
    move(this.tasks, this.#key, state, column(this.tasks, state).length);
  }

  #show(): void {
    if (!this.#dialog.open) return;
    const task = this.tasks.get(this.#key);
    if (!task) return this.#dialog.close();
    if (document.activeElement !== this.#title) this.#title.value = task.title;
    this.#state.value = task.state;
    // The server may have written the row anew, with another text.
    this.#bind(this.tasks.text(this.#key, "description"));
    this.#showErrors();
    this.#showOthers();
    this.#restrict();
  }

  #bind(text: Text | undefined): void {
    if (text === this.#text) return;
    this.#unbind?.();
    this.#text = text;
    this.#unbind = text && bindText(text, this.#description);
  }

  #showErrors(): void {
    const fields = this.tasks.error(this.#key)?.fields ?? {};
    for (const element of this.#dialog.querySelectorAll<HTMLElement>("[data-error]")) {
      element.textContent = fields[element.dataset["error"]!]?.join(" ") ?? "";
    }
  }

  #showOthers(): void {
    const names = holders(this.awareness, this.#key).map(({ name }) => name);
    const also = names.length ? `Here as well: ${names.join(", ")}` : "";
    this.#dialog.querySelector(".others")!.textContent = also;
  }

  #restrict(): void {
    const { isWritable } = this.cards;
    this.#title.readOnly = this.#description.readOnly = !isWritable;
    this.#state.disabled = !isWritable;
    this.#remove.hidden = !isWritable;
    // The shared text does not exist before the server has stored the card.
    this.#description.disabled = this.#text === undefined;
  }
}
