/** The cards in their columns, following the rows. */
import { glide } from "./motion.js";
import { column, reasons, type State, type Task, type Tasks } from "./tasks.js";

const template = (document.getElementById("card") as HTMLTemplateElement).content;

/** The list of a column, and the key of a card. */
export const stateOf = (lane: HTMLElement): State => lane.dataset["state"] as State;
export const keyOf = (card: HTMLElement): string => card.dataset["key"]!;

export class Cards {
  isWritable = false;
  /** The dragged card, whose place does not follow its row. */
  held: HTMLElement | null = null;
  readonly lanes: HTMLElement[];
  readonly #board: HTMLElement;
  readonly #tasks: Tasks;
  readonly #cards = new Map<string, HTMLElement>();

  constructor(board: HTMLElement, tasks: Tasks) {
    this.#board = board;
    this.#tasks = tasks;
    this.lanes = [...board.querySelectorAll<HTMLElement>(".lane")];
    board.addEventListener("click", (event) => this.#dismiss(event));
    tasks.subscribe(() => this.show());
    this.show();
  }

  get(key: string): HTMLElement | undefined {
    return this.#cards.get(key);
  }

  all(): Iterable<[string, HTMLElement]> {
    return this.#cards;
  }

  /** The list of a column. */
  list(lane: HTMLElement): HTMLElement {
    return lane.querySelector<HTMLElement>(".cards")!;
  }

  /** Show the current rows; moved cards glide to their places. */
  show(): void {
    const { activeElement: focused } = document;
    glide(this.#cards.values(), () => {
      this.#removeGone();
      for (const lane of this.lanes) this.#fill(lane);
    });
    // Moving an element in the document loses the focus.
    if (focused instanceof HTMLElement && this.#board.contains(focused)) {
      focused.focus({ preventScroll: true });
    }
  }

  #removeGone(): void {
    for (const [key, card] of this.#cards) {
      if (this.#tasks.get(key)) continue;
      card.remove();
      this.#cards.delete(key);
    }
  }

  #fill(lane: HTMLElement): void {
    const keys = column(this.#tasks, stateOf(lane));
    const list = this.list(lane);
    let next = list.firstElementChild;
    for (const card of keys.map((key) => this.#card(key))) {
      if (next === this.held && next !== null) next = next.nextElementSibling;
      if (card === this.held) continue;
      if (card === next) next = next.nextElementSibling;
      else list.insertBefore(card, next);
    }
    lane.querySelector(".count")!.textContent = String(keys.length);
  }

  #card(key: string): HTMLElement {
    let card = this.#cards.get(key);
    if (!card) {
      card = template.firstElementChild!.cloneNode(true) as HTMLElement;
      card.dataset["key"] = key;
      this.#cards.set(key, card);
    }
    this.#write(card, this.#tasks.get(key)!);
    return card;
  }

  #write(card: HTMLElement, { title, description, author }: Task): void {
    write(card, ".name", title);
    write(card, ".about", description.trim());
    const avatar = card.querySelector<HTMLElement>(".avatar")!;
    avatar.textContent = author?.name.charAt(0) ?? "";
    avatar.title = author?.name ?? "";
    avatar.style.setProperty("--color", author?.color ?? "transparent");
    const refusal = this.#tasks.error(keyOf(card));
    write(card, ".refusal span", refusal ? reasons(refusal) : "");
    card.querySelector<HTMLElement>(".refusal")!.hidden = !refusal;
  }

  #dismiss(event: Event): void {
    const button = (event.target as Element).closest(".refusal button");
    const card = button?.closest<HTMLElement>(".task");
    if (card) this.#tasks.dismiss(keyOf(card));
  }
}

function write(card: HTMLElement, selector: string, text: string): void {
  const element = card.querySelector(selector)!;
  if (element.textContent !== text) element.textContent = text;
}
