/** Tasks, and their places on the board. */
import type { Refusal, Rows } from "django-collab";

import type { Person } from "../people.js";

export type State = "todo" | "doing" | "done";

export interface Task {
  title: string;
  description: string;
  state: State;
  /** Sort key in its column. */
  position: number;
  /** Set by the server; a new card has none yet. */
  author?: Person | null;
}

export type Tasks = Rows<Task>;

/** Return the keys of a column's tasks in order; equal places are sorted by key. */
export function column(tasks: Tasks, state: State): string[] {
  return [...tasks.all()]
    .filter(([, task]) => task.state === state)
    .sort(([one, a], [other, b]) => a.position - b.position || (one < other ? -1 : 1))
    .map(([key]) => key);
}

/** Move a task to an index of a column. */
export function move(tasks: Tasks, key: string, state: State, index: number): void {
  if (column(tasks, state).indexOf(key) === index) return;
  const others = column(tasks, state).filter((other) => other !== key);
  const [above, below] = [others[index - 1], others[index]].map((other) => place(tasks, other));
  const position = between(above, below);
  // In one transaction, which the server accepts or refuses as a whole.
  tasks.doc.transact(() => {
    tasks.set(key, { state, position });
    if (position === above || position === below) renumber(tasks, others.toSpliced(index, 0, key));
  });
}

const place = (tasks: Tasks, key: string | undefined): number | undefined =>
  key === undefined ? undefined : tasks.get(key)?.position;

/** Return a place below all tasks of a column. */
export function lastPlace(tasks: Tasks, state: State): number {
  return between(place(tasks, column(tasks, state).at(-1)), undefined);
}

function between(above: number | undefined, below: number | undefined): number {
  if (above === undefined) return below === undefined ? 0 : below - 1;
  return below === undefined ? above + 1 : (above + below) / 2;
}

/** Number all tasks of a column anew, if there is no number between two of them. */
function renumber(tasks: Tasks, keys: string[]): void {
  keys.forEach((key, position) => tasks.set(key, { position }));
}

const LABELS: Record<string, string> = { title: "Title: ", description: "Description: " };

/** Return the reasons of a refusal as a text. */
export function reasons({ fields }: Refusal): string {
  const said = Object.entries(fields).map(([field, why]) => (LABELS[field] ?? "") + why.join(" "));
  // Reasons that concern the whole row are repeated for each changed field.
  return [...new Set(said)].join(" ");
}
