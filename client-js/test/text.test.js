import assert from "node:assert/strict";
import { test } from "node:test";

import { editText } from "django-collab";
import * as Y from "yjs";

/** The parts that are deleted and inserted to make another text of one. */
function edit(before, after) {
  const text = new Y.Doc().getText("text");
  text.insert(0, before);
  const deltas = [];
  text.observe((event) => deltas.push(event.delta));
  editText(text, after);
  assert.equal(text.toString(), after);
  assert.ok(deltas.length < 2, "It is one transaction.");
  return deltas[0];
}

test("equal texts are left alone", () => {
  assert.equal(edit("same", "same"), undefined);
  assert.equal(edit("", ""), undefined);
});

for (const [what, before, after, delta] of [
  ["at the start", "world", "hello world", [{ insert: "hello " }]],
  ["in the middle", "hello world", "hello, world", [{ retain: 5 }, { insert: "," }]],
  ["at the end", "hello", "hello you", [{ retain: 5 }, { insert: " you" }]],
  ["a letter of several equal ones", "aa", "aaa", [{ retain: 2 }, { insert: "a" }]],
  ["a part taken out", "hello big world", "hello world", [{ retain: 6 }, { delete: 4 }]],
  ["all", "one", "", [{ delete: 3 }]],
]) {
  test(`only the part that differs is replaced: ${what}`, () => {
    assert.deepEqual(edit(before, after), delta);
  });
}

test("characters outside of the first plane are not torn apart", () => {
  // These two begin alike, and the next two end alike.
  assert.deepEqual(edit("a😀b", "a😁b"), [{ retain: 1 }, { delete: 2 }, { insert: "😁" }]);
  assert.deepEqual(edit("a\u{1f600}b", "a\u{1fa00}b"), [
    { retain: 1 },
    { delete: 2 },
    { insert: "\u{1fa00}" },
  ]);
});
