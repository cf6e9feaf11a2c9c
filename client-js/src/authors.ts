/** The authors of the letters in a shared type. */
import * as Y from "yjs";

import type { AuthorRange } from "./versioning.js";

/** Letters of one user; of an unknown one without. */
export interface AuthorRun {
  text: string;
  user: string | null;
}

/** Return the letters of a shared type, and of all in it, in their order. */
export function authorRuns(type: Y.AbstractType<unknown>, ranges: readonly AuthorRange[]): AuthorRun[] {
  const index = new RangeIndex(ranges);
  const runs: AuthorRun[] = [];
  const visit = ({ _start }: Y.AbstractType<unknown>): void => {
    for (let item = _start; item; item = item.right) {
      if (item.deleted) continue;
      if (item.content instanceof Y.ContentType) visit(item.content.type as Y.AbstractType<unknown>);
      if (item.content instanceof Y.ContentString) runs.push(...index.split(item.id, item.content.str));
    }
  };
  visit(type);
  return joined(runs);
}

/** The ranges of each client, by their clocks. */
class RangeIndex {
  readonly #byClient = new Map<number, AuthorRange[]>();

  constructor(ranges: readonly AuthorRange[]) {
    for (const range of ranges) {
      const known = this.#byClient.get(range[0]);
      if (known) known.push(range);
      else this.#byClient.set(range[0], [range]);
    }
    for (const known of this.#byClient.values()) known.sort((one, other) => one[1] - other[1]);
  }

  /** Return the letters of an item, at their authors. */
  *split({ client, clock }: { client: number; clock: number }, letters: string): Iterable<AuthorRun> {
    const known = this.#byClient.get(client) ?? [];
    const end = clock + letters.length;
    let at = clock;
    const part = (until: number, user: string | null): AuthorRun => {
      const text = letters.slice(at - clock, until - clock);
      at = until;
      return { text, user };
    };
    for (let number = firstBehind(known, clock); at < end; number += 1) {
      const [, first, behind, user] = known[number] ?? [client, end, end, null, ""];
      if (first >= end) break;
      if (first > at) yield part(first, null);
      yield part(Math.min(behind, end), user);
    }
    if (at < end) yield part(end, null);
  }
}

/** Return the number of the first range that ends behind a clock. */
function firstBehind(ranges: readonly AuthorRange[], clock: number): number {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ranges[middle]?.[2] ?? 0) > clock) high = middle;
    else low = middle + 1;
  }
  return low;
}

function joined(runs: AuthorRun[]): AuthorRun[] {
  const found: AuthorRun[] = [];
  for (const run of runs) {
    const last = found.at(-1);
    if (last && last.user === run.user) last.text += run.text;
    else found.push({ ...run });
  }
  return found;
}
