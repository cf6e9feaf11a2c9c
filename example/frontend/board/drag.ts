/** Dragging cards: with a mouse anywhere on the card, with a finger by its grip. */
import type { Awareness } from "y-protocols/awareness";

import { keyOf, stateOf, type Cards } from "./cards.js";
import { glide } from "./motion.js";
import { move, type Tasks } from "./tasks.js";

/** Distance that a mouse moves before a click becomes a drag. */
const SLOP = 6;
/** Distance from an edge at which the board scrolls, and the length of a step. */
const EDGE = 48;
const STEP = 12;

export function setUpDragging(
  board: HTMLElement,
  cards: Cards,
  tasks: Tasks,
  awareness: Awareness,
): void {
  board.addEventListener("pointerdown", (event) => {
    const card = graspable(event);
    if (card && cards.isWritable && !cards.held) grasp(card, event);
  });

  function grasp(card: HTMLElement, start: PointerEvent): void {
    let drag: Drag | undefined;
    const listening = new AbortController();
    const { signal } = listening;
    const end = (isDropped: boolean): void => {
      listening.abort();
      drag?.end(isDropped);
    };
    const follow = (event: PointerEvent): void => {
      const far = Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY);
      if (!drag && far > SLOP) drag = new Drag(board, cards, tasks, awareness, card, start);
      drag?.follow(event);
    };
    addEventListener("pointermove", follow, { signal });
    addEventListener("pointerup", () => end(true), { signal });
    addEventListener("pointercancel", () => end(false), { signal });
    addEventListener("keydown", (event) => event.key === "Escape" && end(false), { signal });
  }
}

function graspable({ target, button, isPrimary, pointerType }: PointerEvent): HTMLElement | null {
  if (!(target instanceof Element) || button !== 0 || !isPrimary) return null;
  if (target.closest("button") || (pointerType === "touch" && !target.closest(".grip"))) return null;
  return target.closest<HTMLElement>(".task");
}

/** A card while it is dragged. */
class Drag {
  readonly #ghost: HTMLElement;
  readonly #offset: { x: number; y: number };
  #pointer: PointerEvent;
  #frame: number;

  constructor(
    readonly board: HTMLElement,
    readonly cards: Cards,
    readonly tasks: Tasks,
    readonly awareness: Awareness,
    readonly card: HTMLElement,
    start: PointerEvent,
  ) {
    const { x, y, width } = card.getBoundingClientRect();
    this.#offset = { x: start.clientX - x, y: start.clientY - y };
    this.#pointer = start;
    this.#ghost = card.cloneNode(true) as HTMLElement;
    this.#ghost.classList.add("ghost");
    this.#ghost.style.width = `${width}px`;
    this.#ghost.inert = true;
    document.body.append(this.#ghost);
    document.body.classList.add("moving");
    cards.held = card;
    card.classList.add("leaving");
    awareness.setLocalStateField("task", keyOf(card));
    this.#frame = requestAnimationFrame(() => this.#scroll());
  }

  follow(event: PointerEvent): void {
    this.#pointer = event;
    const [x, y] = [event.clientX - this.#offset.x, event.clientY - this.#offset.y];
    this.#ghost.style.transform = `translate(${x}px, ${y}px) rotate(1.5deg)`;
    if (this.card.isConnected) this.#put();
  }

  end(isDropped: boolean): void {
    cancelAnimationFrame(this.#frame);
    this.#ghost.remove();
    document.body.classList.remove("moving");
    this.card.classList.remove("leaving");
    this.cards.held = null;
    this.awareness.setLocalStateField("task", null);
    swallowClick();
    // Another user may have deleted it meanwhile.
    if (isDropped && this.card.isConnected) this.#drop();
    this.cards.show();
  }

  #drop(): void {
    const list = this.card.parentElement!;
    const lane = list.closest<HTMLElement>(".lane")!;
    move(this.tasks, keyOf(this.card), stateOf(lane), [...list.children].indexOf(this.card));
  }

  /** Put the card's placeholder where it would be dropped. */
  #put(): void {
    const list = this.cards.list(this.#lane());
    const others = [...list.children].filter((other) => other !== this.card);
    const below = others.find((other) => middle(other) > this.#pointer.clientY) ?? null;
    if (this.card.parentElement === list && this.card.nextElementSibling === below) return;
    glide(this.cards.lanes.flatMap((lane) => [...this.cards.list(lane).children] as HTMLElement[]), () =>
      list.insertBefore(this.card, below),
    );
  }

  /** Return the column under the pointer, or the nearest one. */
  #lane(): HTMLElement {
    const away = (lane: HTMLElement): number => {
      const { left, right } = lane.getBoundingClientRect();
      const { clientX } = this.#pointer;
      return Math.max(left - clientX, clientX - right, 0);
    };
    return this.cards.lanes.reduce((one, other) => (away(other) < away(one) ? other : one));
  }

  #scroll(): void {
    const { clientX, clientY } = this.#pointer;
    this.board.scrollLeft += STEP * side(clientX, innerWidth);
    scrollBy(0, STEP * side(clientY, innerHeight));
    if (this.card.isConnected) this.#put();
    this.#frame = requestAnimationFrame(() => this.#scroll());
  }
}

function middle(element: Element): number {
  const { top, height } = element.getBoundingClientRect();
  return top + height / 2;
}

/** Return whether a place is near the beginning (-1) or the end (1) of an extent. */
const side = (place: number, extent: number): number =>
  place < EDGE ? -1 : place > extent - EDGE ? 1 : 0;

/** Suppress the click that ends a drag; there is none if the pointer left the card. */
function swallowClick(): void {
  const swallow = (event: Event): void => event.stopPropagation();
  addEventListener("click", swallow, { capture: true, once: true });
  setTimeout(() => removeEventListener("click", swallow, { capture: true }));
}
