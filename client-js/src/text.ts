import type { Text } from "yjs";

/**
 * Change a document's `text` to `string`. Only the differing part is replaced, which keeps others'
 * cursors and concurrent edits.
 */
export function editText(text: Text, string: string): void {
  const before = text.toJSON();
  const start = common(before, string, Math.min(before.length, string.length), fromStart);
  const left = Math.min(before.length, string.length) - start;
  const end = common(before, string, left, fromEnd);
  const removed = before.length - start - end;
  const added = string.slice(start, string.length - end);
  if (removed === 0 && added === "") return;
  text.doc?.transact(() => {
    if (removed > 0) text.delete(start, removed);
    if (added) text.insert(start, added);
  });
}

type Side = (text: string, index: number) => number;

const fromStart: Side = (text, index) => text.charCodeAt(index);
const fromEnd: Side = (text, index) => text.charCodeAt(text.length - 1 - index);

/** Return the number of code units common to two strings on one side, without half characters. */
function common(one: string, other: string, most: number, unit: Side): number {
  let length = 0;
  while (length < most && unit(one, length) === unit(other, length)) length += 1;
  const last = length > 0 ? unit(one, length - 1) : 0;
  const half = unit === fromStart ? isHigh(last) : isLow(last);
  return half ? length - 1 : length;
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000;
