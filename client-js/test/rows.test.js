import assert from "node:assert/strict";
import { test } from "node:test";

import { rows } from "django-collab";
import * as Y from "yjs";

/** A document with two tasks, as a server would have written them. */
function board() {
  const doc = new Y.Doc();
  const tasks = rows(doc, "tasks");
  const shared = doc.getMap("tasks");
  doc.transact(() => {
    for (const [key, title] of [
      ["1", "Sow"],
      ["2", "Reap"],
    ]) {
      const row = new Y.Map(Object.entries({ title, done: false, labels: [1, 2] }));
      shared.set(key, row);
      row.set("body", new Y.Text(`How to ${title.toLowerCase()}`));
    }
  });
  return { doc, tasks, shared };
}

/** The changes that are told, as the keys that they name. */
function told(tasks, key) {
  const changes = [];
  tasks.subscribe(({ keys }) => changes.push([...keys].sort()), key);
  return changes;
}

/** Make of `doc` what somebody else has made of a copy. */
function byAnother(doc, change) {
  const other = new Y.Doc();
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
  const state = Y.encodeStateVector(other);
  change(rows(other, "tasks"), other);
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(other, state));
}

/** The number of updates that `change` makes. */
function updates(doc, change) {
  let count = 0;
  const add = () => (count += 1);
  doc.on("update", add);
  change();
  doc.off("update", add);
  return count;
}

test("rows are plain copies, texts as strings", () => {
  const { tasks } = board();
  const sow = { title: "Sow", done: false, labels: [1, 2], body: "How to sow" };
  assert.deepEqual(tasks.get("1"), sow);
  assert.deepEqual([...tasks.all().keys()], ["1", "2"]);
  assert.equal(tasks.all().get("1"), tasks.get("1"));
  assert.equal(tasks.get("3"), undefined);
});

test("the rows of a map are one object for all callers", () => {
  const { doc, tasks } = board();
  assert.equal(rows(doc, "tasks"), tasks);
  assert.notEqual(rows(doc, "notes"), tasks);
});

test("a value that is not a row is not among them", () => {
  const { tasks, shared } = board();
  shared.set("3", "no row");
  assert.equal(tasks.get("3"), undefined);
  assert.deepEqual([...tasks.all().keys()], ["1", "2"]);
  assert.equal(tasks.set("3", { title: "still none" }), false);
});

test("an unchanged row keeps its copy, and so do unchanged values in it", () => {
  const { tasks } = board();
  const [all, sow, reap] = [tasks.all(), tasks.get("1"), tasks.get("2")];
  assert.equal(tasks.all(), all);
  tasks.set("1", { title: "Sow again" });
  assert.notEqual(tasks.all(), all);
  assert.notEqual(tasks.get("1"), sow);
  assert.equal(tasks.get("1").labels, sow.labels);
  assert.equal(tasks.get("2"), reap);
  assert.equal(sow.title, "Sow");
});

test("typing in a text changes its row only", () => {
  const { tasks } = board();
  const reap = tasks.get("2");
  const changes = told(tasks);
  tasks.text("1", "body").insert(0, "Learn ");
  assert.equal(tasks.get("1").body, "Learn How to sow");
  assert.equal(tasks.get("2"), reap);
  assert.deepEqual(changes, [["1"]]);
});

test("only different values are set, in one update", () => {
  const { doc, tasks, shared } = board();
  const before = Y.encodeStateVector(doc);
  const same = { title: "Sow", labels: [1, 2], body: "How to sow", done: undefined };
  assert.equal(updates(doc, () => tasks.set("1", same)), 0);
  assert.deepEqual(Y.encodeStateVector(doc), before);
  assert.equal(updates(doc, () => tasks.set("1", { ...same, done: true, title: "Sown" })), 1);
  assert.deepEqual({ ...tasks.get("1") }, { ...same, done: true, title: "Sown" });
  assert.equal(shared.get("1").get("done"), true);
});

test("a text that is set stays the same text, and others' edits of it stay", () => {
  const { doc, tasks } = board();
  const text = tasks.text("1", "body");
  const other = new Y.Doc();
  Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
  rows(other, "tasks").text("1", "body").insert(0, "Know ");
  tasks.set("1", { body: "How to sow well" });
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(other));
  assert.equal(tasks.text("1", "body"), text);
  assert.equal(tasks.get("1").body, "Know How to sow well");
});

test("a plain value is no text", () => {
  const { tasks } = board();
  assert.equal(tasks.text("1", "title"), undefined);
  assert.equal(tasks.text("3", "body"), undefined);
});

test("a row is made under a key of its own", () => {
  const { doc, tasks } = board();
  let key;
  const made = updates(doc, () => {
    key = tasks.create({ title: "Eat", body: new Y.Text("Well") });
  });
  assert.equal(made, 1);
  assert.match(key, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-/);
  assert.deepEqual(tasks.get(key), { title: "Eat", body: "Well" });
  assert.equal(tasks.create({ title: "Sleep" }, "chosen"), "chosen");
  assert.deepEqual(tasks.get("chosen"), { title: "Sleep" });
});

test("a row is deleted once", () => {
  const { tasks } = board();
  assert.equal(tasks.delete("1"), true);
  assert.equal(tasks.get("1"), undefined);
  assert.equal(tasks.delete("1"), false);
  assert.equal(tasks.set("1", { title: "gone" }), false);
});

test("listeners receive the changed rows and their authors", () => {
  const { doc, tasks } = board();
  const changes = told(tasks);
  const local = [];
  tasks.on("change", (change) => local.push(change.local));
  doc.transact(() => {
    tasks.set("1", { done: true });
    tasks.delete("2");
    tasks.create({ title: "Eat" }, "3");
  });
  byAnother(doc, (theirs) => theirs.set("1", { done: false }));
  assert.deepEqual(changes, [["1", "2", "3"], ["1"]]);
  assert.deepEqual(local, [true, false]);
});

test("a listener to one row receives no other, and nothing once it has ended", () => {
  const { tasks } = board();
  const changes = told(tasks, "1");
  const end = tasks.subscribe(() => assert.fail("It had ended."), "1");
  end();
  tasks.set("2", { done: true });
  assert.deepEqual(changes, []);
  tasks.set("1", { done: true });
  assert.deepEqual(changes, [["1"]]);
});

test("a listener finds the rows as they are when it is called", () => {
  const { tasks } = board();
  const titles = [];
  tasks.subscribe(({ keys }) => titles.push(...[...keys].map((key) => tasks.get(key)?.title)));
  tasks.set("1", { title: "Sown" });
  tasks.delete("1");
  assert.deepEqual(titles, ["Sown", undefined]);
});

test("a document may have rows before rows() is called", () => {
  const { doc } = board();
  const copy = new Y.Doc();
  Y.applyUpdate(copy, Y.encodeStateAsUpdate(doc));
  assert.equal(rows(copy, "tasks").get("2").title, "Reap");
});
