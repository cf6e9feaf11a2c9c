/** Tasks, and where they are on the board. */
import type { Refusal, Rows } from "django-collab";

import type { Person } from "../people.js";

export type State = "todo" | "doing" | "done";

export interface Task {
  title: string;
  description: string;
  state: State;
  /** Among the cards of its column. */
  position: number;
  /** The server tells; a card that was just made has none yet. */
  author?: Person | null;
}

export type Tasks = Rows<Task>;

/** The keys of a column's tasks, in their order; by key where two have the same place. */
export function column(tasks: Tasks, state: State): string[] {
  return [...tasks.all()]
    .filter(([, task]) => task.state === state)
    .sort(([one, a], [other, b]) => a.position - b.position || (one < other ? -1 : 1))
    .map(([key]) => key);
}

/** Put a task into a column, where `index` others are above it. */
export function move(tasks: Tasks, key: string, state: State, index: number): void {
  if (column(tasks, state).indexOf(key) === index) return;
  const others = column(tasks, state).filter((other) => other !== key);
  const [above, below] = [others[index - 1], others[index]].map((other) => place(tasks, other));
  const position = between(above, below);
  // One change: the server takes all of it or nothing.
  tasks.doc.transact(() => {
    tasks.set(key, { state, position });
    if (position === above || position === below) renumber(tasks, others.toSpliced(index, 0, key));
  });
}

const place = (tasks: Tasks, key: string | undefined): number | undefined =>
  key === undefined ? undefined : tasks.get(key)?.position;

/** A place below all others. */
export function lastPlace(tasks: Tasks, state: State): number {
  return between(place(tasks, column(tasks, state).at(-1)), undefined);
}

function between(above: number | undefined, below: number | undefined): number {
  if (above === undefined) return below === undefined ? 0 : below - 1;
  return below === undefined ? above + 1 : (above + below) / 2;
}

/** Between two of these no number is left: give them all new ones. */
function renumber(tasks: Tasks, keys: string[]): void {
  keys.forEach((key, position) => tasks.set(key, { position }));
}

const LABELS: Record<string, string> = { title: "Title: ", description: "Description: " };

/** Why the server did not take a change, in words. */
export function reasons({ fields }: Refusal): string {
  const said = Object.entries(fields).map(([field, why]) => (LABELS[field] ?? "") + why.join(" "));
  // What is wrong with the whole is told of each field that was changed.
  return [...new Set(said)].join(" ");
}
