import assert from "node:assert/strict";
import { test } from "node:test";

import { rows } from "django-collab";
import { useRow, useRowErrors, useRows } from "django-collab/react";
import { act, createElement as h, StrictMode } from "react";
import * as Y from "yjs";

import { show } from "./dom.js";

/** Tasks of which all are to do, by their keys. */
function tasksOf(...keys) {
  const tasks = rows(new Y.Doc(), "tasks");
  for (const key of keys) tasks.create({ title: `Task ${key}`, done: false }, key);
  return tasks;
}

/** A component's rendering of the value of a hook, and how often it was rendered. */
function counting(read) {
  const component = (props) => {
    component.renders += 1;
    return read(props);
  };
  component.renders = 0;
  return component;
}

const titles = (all) => [...all.values()].map((row) => row.title).join(", ");

test("rows are shown, and shown anew when they change", async (t) => {
  const tasks = tasksOf("1", "2");
  const shown = await show(t, () => titles(useRows(tasks)));
  assert.equal(shown.text, "Task 1, Task 2");
  await act(() => tasks.set("1", { title: "One" }));
  assert.equal(shown.text, "One, Task 2");
  await act(() => tasks.delete("2"));
  assert.equal(shown.text, "One");
});

test("a component that shows one row is not rendered for another", async (t) => {
  const tasks = tasksOf("1", "2");
  const Task = counting(({ id }) => useRow(tasks, id)?.title ?? "none");
  const shown = await show(t, Task, { id: "1" });
  await act(() => tasks.set("2", { title: "Two" }));
  assert.equal(Task.renders, 1);
  await act(() => tasks.set("1", { title: "One" }));
  assert.deepEqual([shown.text, Task.renders], ["One", 2]);
  await shown.rerender({ id: "2" });
  assert.equal(shown.text, "Two");
  await act(() => tasks.delete("2"));
  assert.equal(shown.text, "none");
});

test("a selection is shown anew only when it differs", async (t) => {
  const tasks = tasksOf("1", "2");
  // Another function, and another array, each time.
  const select = (all) => [...all.values()].filter((row) => !row.done);
  const Open = counting(() => {
    const open = useRows(tasks, (all) => select(all));
    return open.map((row) => row.title).join(", ");
  });
  const shown = await show(t, Open);
  await act(() => tasks.create({ title: "Done already", done: true }));
  assert.deepEqual([shown.text, Open.renders], ["Task 1, Task 2", 1]);
  await act(() => tasks.set("1", { done: true }));
  assert.deepEqual([shown.text, Open.renders], ["Task 2", 2]);
});

test("a selection may have its own comparison", async (t) => {
  const tasks = tasksOf("1");
  const isEqual = (one, other) => one.count === other.count;
  const Count = counting(() => {
    return String(useRows(tasks, (all) => ({ count: all.size }), isEqual).count);
  });
  const shown = await show(t, Count);
  await act(() => tasks.set("1", { title: "One" }));
  assert.deepEqual([shown.text, Count.renders], ["1", 1]);
  await act(() => tasks.create({ title: "Two" }));
  assert.deepEqual([shown.text, Count.renders], ["2", 2]);
});

test("a selection follows its dependencies", async (t) => {
  const tasks = tasksOf("1", "2");
  const One = ({ id }) => useRows(tasks, (all) => all.get(id)?.title ?? "none");
  const shown = await show(t, One, { id: "1" });
  await shown.rerender({ id: "2" });
  assert.equal(shown.text, "Task 2");
});

test("rows of another document take the place of the first", async (t) => {
  const [first, second] = [tasksOf("1"), tasksOf("2")];
  const All = ({ tasks }) => titles(useRows(tasks));
  const shown = await show(t, All, { tasks: first });
  await shown.rerender({ tasks: second });
  assert.equal(shown.text, "Task 2");
  await act(() => first.set("1", { title: "unseen" }));
  assert.equal(shown.text, "Task 2");
});

test("a component that is unmounted listens no more", async (t) => {
  const tasks = tasksOf("1");
  const All = () => {
    useRow(tasks, "1");
    useRowErrors(tasks);
    return titles(useRows(tasks));
  };
  const shown = await show(t, () => h(StrictMode, null, h(All)));
  await shown.unmount();
  assert.equal(tasks._observers.get("change")?.size ?? 0, 0);
});
