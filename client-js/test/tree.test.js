import assert from "node:assert/strict";
import { test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { rows } from "django-collab";
import { Tree } from "django-collab/live";
import * as Y from "yjs";

const SHAPE = {
  root: "Board",
  many: false,
  relations: { Board: { tasks: { type: "Task", many: true } }, Task: {} },
};

function aBoard(count) {
  const doc = new Y.Doc();
  const keys = Array.from({ length: count }, (_, index) => index + 1);
  for (const id of keys) rows(doc, "Task").create({ id, title: `Task ${id}` }, String(id));
  rows(doc, "Board").create({ id: 1, name: "Board", tasks: keys }, "1");
  return { doc, tree: new Tree(doc, SHAPE) };
}

/** Collect garbage now. */
function collect() {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}

test("one transaction makes one event, whatever it changes", () => {
  const { doc, tree } = aBoard(2);
  let told = 0;
  tree.on("change", () => (told += 1));
  doc.transact(() => {
    rows(doc, "Task").set("1", { title: "One" });
    rows(doc, "Task").set("2", { title: "Two" });
    rows(doc, "Board").set("1", { name: "Two tasks" });
  });
  assert.equal(told, 1);
  doc.getMap("others").set("key", 1);
  assert.equal(told, 1);
  assert.deepEqual(tree.state.tasks.map(({ title }) => title), ["One", "Two"]);
});

test("a row that is not there yet, or no more, is left out until it comes", () => {
  const { doc, tree } = aBoard(2);
  rows(doc, "Board").set("1", { tasks: [1, 3, 2] });
  assert.deepEqual(tree.state.tasks.map(({ id }) => id), [1, 2]);
  rows(doc, "Task").create({ id: 3, title: "Three" }, "3");
  assert.deepEqual(tree.state.tasks.map(({ id }) => id), [1, 3, 2]);
  rows(doc, "Task").delete("1");
  assert.deepEqual(tree.state.tasks.map(({ id }) => id), [3, 2]);
});

test("earlier trees are not kept, however often a row changes", async () => {
  const { doc, tree } = aBoard(3);
  const former = [];
  for (let count = 0; count < 1000; count += 1) {
    former.push(new WeakRef(tree.state));
    rows(doc, "Board").set("1", { name: `Board ${count}` });
  }
  assert.equal(tree.state.name, "Board 999");
  // The target of a WeakRef stays until the turn ends.
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  assert(former.filter((reference) => reference.deref()).length < 5);
});

test("a tree that has ended follows nothing", () => {
  const { doc, tree } = aBoard(1);
  let told = 0;
  tree.on("change", () => (told += 1));
  tree.destroy();
  rows(doc, "Task").set("1", { title: "One" });
  assert.equal(told, 0);
});
