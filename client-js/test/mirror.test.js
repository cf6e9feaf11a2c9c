import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { CollabProvider, rows } from "django-collab";
import { useProviderStatus, useRow, useRowErrors } from "django-collab/react";
import { act } from "react";
import { WebSocket } from "ws";
import * as Y from "yjs";

import { show } from "./dom.js";
import { address, until } from "./server.js";

let boards = 0;

/** The room of a board with one task, "Sow". */
async function newBoard() {
  const room = `board-${(boards += 1)}`;
  await save(room, { now: "Sow" });
  return room;
}

/** Have the server save a task as a view would: make, change or delete it. */
async function save(room, values) {
  const socket = new WebSocket(`${address("save")}/${room}?${new URLSearchParams(values)}`);
  await once(socket, "close");
}

/** A board's rows, through a connection of their own; all that there is has come. */
async function open(t, room) {
  const provider = new CollabProvider(address(), room, new Y.Doc(), {
    WebSocketPolyfill: WebSocket,
    disableBc: true,
    maxBackoffTime: 100,
  });
  t.after(() => {
    provider.destroy();
    provider.doc.destroy();
  });
  await until(() => provider.synced);
  return { provider, tasks: rows(provider, "tasks"), notes: rows(provider, "rows.note") };
}

/** The key of the first task with a title. */
const keyOf = (tasks, title) => [...tasks.all()].find(([, task]) => task.title === title)?.[0];

/** The refusals from now on. */
function refusals(tasks) {
  const refused = [];
  tasks.on("refused", (refusal) => refused.push(refusal));
  return refused;
}

test("rows are there with all fields, and changes are saved for all", async (t) => {
  const room = await newBoard();
  const [ann, bob] = [await open(t, room), await open(t, room)];
  const key = keyOf(ann.tasks, "Sow");
  assert.equal(ann.tasks.get(key).body, "Carefully.");
  const refused = refusals(ann.tasks);
  // The spaces are gone when it is saved.
  ann.tasks.set(key, { title: " Sow again ", state: "done" });
  ann.tasks.text(key, "body").insert(0, "Very ");
  await until(() => bob.tasks.get(key).title === "Sow again");
  await until(() => bob.tasks.get(key).body === "Very Carefully.");
  // It is in the row, too, by which a view finds it.
  await save(room, { title: "Sow again", now: "Sown" });
  await until(() => ann.tasks.get(key).title === "Sown" && ann.tasks.get(key).state === "done");
  assert.deepEqual(refused, []);
});

test("rows and React follow what other code of the server saves", async (t) => {
  const room = await newBoard();
  const { provider, tasks } = await open(t, room);
  const key = keyOf(tasks, "Sow");
  const shown = await show(t, () => {
    const { synced, access } = useProviderStatus(provider);
    return `${useRow(tasks, key)?.title} ${synced} ${access}`;
  });
  await until(() => provider.access);
  assert.equal(shown.text, "Sow true write");
  await save(room, { title: "Sow", now: "Reap" });
  await act(() => until(() => tasks.get(key).title === "Reap"));
  assert.equal(shown.text, "Reap true write");
  await save(room, { title: "Reap" });
  await act(() => until(() => tasks.get(key) === undefined));
  assert.equal(shown.text, "undefined true write");
});

test("a value that is not valid is set back, and its author alone receives the reason", async (t) => {
  const room = await newBoard();
  const [ann, bob] = [await open(t, room), await open(t, room)];
  const [refused, others] = [refusals(ann.tasks), refusals(bob.tasks)];
  const key = keyOf(ann.tasks, "Sow");
  const shown = await show(t, () => [...useRowErrors(ann.tasks).keys()].join());
  ann.tasks.set(key, { title: "", done: true });
  await act(() => until(() => refused.length === 1));
  await until(() => ann.tasks.get(key).title === "Sow" && bob.tasks.get(key).title === "Sow");
  const [refusal] = refused;
  assert.deepEqual([refusal.key, refusal.status, refusal.values], [key, 400, { title: "" }]);
  assert.deepEqual(Object.keys(refusal.fields), ["title"]);
  assert.equal(refusal.errors[0], refusal.fields.title[0]);
  // The valid fields are saved.
  assert.equal(ann.tasks.get(key).done, true);
  assert.equal(ann.tasks.error(key), refusal);
  assert.equal(shown.text, key);
  assert.deepEqual(others, []);
  assert.equal(bob.tasks.error(key), undefined);
});

test("an error lasts until its row is changed again, or it is dismissed", async (t) => {
  const room = await newBoard();
  const [ann, bob] = [await open(t, room), await open(t, room)];
  const key = keyOf(ann.tasks, "Sow");
  const refuse = async () => {
    ann.tasks.set(key, { title: "forbidden" });
    await until(() => ann.tasks.error(key));
    await until(() => ann.tasks.get(key).title === "Sow");
  };
  await refuse();
  assert.equal(ann.tasks.error(key).status, 403);
  bob.tasks.set(key, { position: 5 });
  await until(() => ann.tasks.get(key).position === 5);
  assert.equal(ann.tasks.errors.size, 1);
  ann.tasks.set(key, { done: true });
  assert.equal(ann.tasks.error(key), undefined);
  await refuse();
  ann.tasks.dismiss(key);
  assert.equal(ann.tasks.errors.size, 0);
});

test("a row that is made here goes on under its first key when it gets another", async (t) => {
  const room = await newBoard();
  const { tasks } = await open(t, room);
  const created = [];
  tasks.on("created", (event) => created.push(event));
  const first = tasks.create({ title: "Eat" });
  const shown = await show(t, () => {
    const task = useRow(tasks, first);
    return `${task?.id} ${task?.title}`;
  });
  assert.equal(shown.text, "undefined Eat");
  await act(() => until(() => created.length === 1));
  const { key, newKey } = created[0];
  assert.equal(key, first);
  assert.equal(tasks.key(first), newKey);
  assert.equal(shown.text, `${newKey} Eat`);
  assert.equal(tasks.get(first), tasks.get(newKey));
  assert.ok(!tasks.all().has(first));
  // The rest of the row has come, and all goes on as with any other.
  assert.equal(tasks.get(first).state, "open");
  await act(() => tasks.set(first, { title: "Eat well" }));
  assert.equal(shown.text, `${newKey} Eat well`);
  tasks.text(first, "body").insert(0, "With the others.");
  assert.equal(tasks.get(newKey).body, "With the others.");
  tasks.delete(first);
  assert.ok(!tasks.all().has(newKey));
});

test("a row whose primary key is a UUID keeps the key that it was made with", async (t) => {
  const room = await newBoard();
  const [ann, bob] = [await open(t, room), await open(t, room)];
  const key = ann.notes.create({ text: "Rain at last" });
  await until(() => bob.notes.get(key)?.id === key);
  assert.equal(ann.notes.key(key), key);
  assert.deepEqual([...ann.notes.all().keys()], [key]);
});

test("a row that must not be created vanishes, and its author receives the reason", async (t) => {
  const { tasks } = await open(t, await newBoard());
  const key = tasks.create({ title: "", state: "done" });
  await until(() => tasks.error(key) && tasks.get(key) === undefined);
  assert.equal(tasks.error(key).values.title, "");
});

test("a row whose deletion is refused comes back", async (t) => {
  const { notes } = await open(t, await newBoard());
  const key = notes.create({ text: "Rain at last" });
  await until(() => notes.get(key)?.id === key);
  notes.delete(key);
  await until(() => notes.error(key) && notes.get(key)?.text === "Rain at last");
  assert.deepEqual(Object.keys(notes.error(key).fields), [""]);
});

// wger/flutter#1340: one change was refused, and hundreds from after it were never sent.
test("offline changes are checked when they come", async (t) => {
  const room = await newBoard();
  const { provider, tasks } = await open(t, room);
  const key = keyOf(tasks, "Sow");
  provider.disconnect();
  tasks.set(key, { title: "", state: "done" });
  for (let number = 0; number < 20; number += 1) tasks.create({ title: `After ${number}` });
  assert.equal(tasks.get(key).title, "");
  assert.equal(tasks.error(key), undefined);
  provider.connect();
  await until(() => tasks.error(key) && tasks.get(key).title === "Sow");
  assert.equal(tasks.get(key).state, "done");
  const other = await open(t, room);
  await until(() => other.tasks.all().size === 21);
  await until(() => [...other.tasks.all()].every(([, task]) => task.id));
});

test("many refusals are reported one by one, and beyond a limit by number", async (t) => {
  const { provider, tasks, notes } = await open(t, await newBoard());
  const refused = refusals(tasks);
  const omitted = [];
  for (const of of [tasks, notes]) of.on("omitted", (event) => omitted.push(event));
  provider.doc.transact(() => {
    for (let number = 0; number < 60; number += 1) tasks.create({ title: "" });
  });
  await until(() => omitted.length === 2);
  assert.equal(refused.length, 50);
  const errors = ["10 more changes were refused."];
  assert.deepEqual(omitted[0], { refused: 60, errors, status: 400 });
  assert.equal(omitted[1], omitted[0]);
  await until(() => tasks.all().size === 1);
});

test("refusals in one map do not reach listeners of another", async (t) => {
  const { tasks, notes } = await open(t, await newBoard());
  notes.create({ text: "" });
  await until(() => notes.errors.size === 1);
  assert.equal(tasks.errors.size, 0);
});
