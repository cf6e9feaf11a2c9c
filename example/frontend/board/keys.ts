/** Cards by keyboard: arrows move the focus, with Shift also the card. */
import { keyOf, stateOf, type Cards } from "./cards.js";
import { move, type Tasks } from "./tasks.js";

/** Columns to the right, and cards down. */
const STEPS: Record<string, readonly [number, number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export function setUpKeys(board: HTMLElement, cards: Cards, tasks: Tasks): void {
  const said = document.getElementById("said")!;
  board.addEventListener("keydown", (event) => {
    const card = event.target as HTMLElement;
    const step = STEPS[event.key];
    if (!card.matches(".task") || !step || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    if (!event.shiftKey) neighbour(cards, card, step)?.focus();
    else if (cards.isWritable) said.textContent = shift(cards, tasks, card, step);
    card.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
}

function neighbour(cards: Cards, card: HTMLElement, [across, down]: readonly [number, number]) {
  const [lane, index] = spot(cards, card);
  const list = cards.lanes[lane + across];
  const there = list && (cards.list(list).children as HTMLCollectionOf<HTMLElement>);
  return there?.[across ? Math.min(index, there.length - 1) : index + down];
}

/** Move a card; return the announcement of its new place. */
function shift(
  cards: Cards,
  tasks: Tasks,
  card: HTMLElement,
  [across, down]: readonly [number, number],
): string {
  const [from, index] = spot(cards, card);
  const lane = cards.lanes[from + across];
  if (!lane) return "";
  const length = cards.list(lane).children.length;
  const last = across ? length : length - 1;
  move(tasks, keyOf(card), stateOf(lane), Math.min(Math.max(index + down, 0), last));
  const [, now] = spot(cards, card);
  const total = cards.list(lane).children.length;
  return `${lane.querySelector("h2")!.firstChild!.textContent!.trim()}, ${now + 1} of ${total}`;
}

/** Return the indices of a card's column and of the card in it. */
function spot(cards: Cards, card: HTMLElement): [number, number] {
  const list = card.parentElement!;
  const lane = cards.lanes.findIndex((candidate) => candidate.contains(list));
  return [lane, [...list.children].indexOf(card)];
}
