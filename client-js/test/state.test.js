import assert from "node:assert/strict";
import { test } from "node:test";

import { LiveChannel, StateChannel } from "django-collab/live";
import { useChannel, useChannelInstance, useChannelState } from "django-collab/react";
import { act } from "react";
import { WebSocket } from "ws";

import { show } from "./dom.js";
import { address, tell, until } from "./server.js";

const OPTIONS = { WebSocketPolyfill: WebSocket, maxBackoffTime: 100 };
const [PROJECT, CLIENT, TAG, TASK, STEP, PERSON, PROFILE] = [
  "Project",
  "Client",
  "Tag",
  "Task",
  "Step",
  "Person",
  "Profile",
].map((name) => `projects.${name}Serializer`);
const relations = {
  [PROJECT]: {
    client: { type: CLIENT, many: false },
    tags: { type: TAG, many: true },
    tasks: { type: TASK, many: true, by: null },
    people: { type: PERSON, many: true },
  },
  [CLIENT]: {},
  [TAG]: {},
  [TASK]: {
    steps: { type: STEP, many: true, by: "task" },
    who: { type: PERSON, many: false },
  },
  [STEP]: {},
  [PERSON]: { profile: { type: PROFILE, many: false } },
  [PROFILE]: {},
};

function open(t, path, many = false, more = {}) {
  const server = address(path);
  const shape = { root: PROJECT, many, relations, ...more };
  const channel = new StateChannel("", shape, { ...OPTIONS, server });
  t.after(() => channel.destroy());
  return channel;
}

/** A project with one task, and a channel to call what server code does. */
async function aProject(t) {
  const talk = new LiveChannel("", { ...OPTIONS, server: address("talk/") });
  t.after(() => talk.destroy());
  const [project, client] = await talk.call("new_project", { name: "Kitchen", client: "Ann" });
  return { talk, project, client };
}

async function aPlan(t) {
  const { project, ...rest } = await aProject(t);
  const plan = open(t, `plan/${project}`);
  await until(() => plan.state?.tasks.length === 1);
  return { plan, project, task: plan.state.tasks[0], ...rest };
}

const refused = (status, reasons) => (error) => {
  assert.deepEqual([error.name, error.status, error.errors], ["LiveError", status, [reasons]]);
  return true;
};

test("a state is nested as its serializers are", async (t) => {
  const { plan, project, task, client } = await aPlan(t);
  assert.deepEqual(plan.state, {
    id: project,
    name: "Kitchen",
    client: { id: client, name: "Ann" },
    tags: [],
    people: [],
    tasks: [
      {
        id: task.id,
        title: "Paint",
        position: 0,
        project,
        steps: [],
        who: null,
        assignee_id: null,
        client_name: "Ann",
      },
    ],
  });
  assert.equal(plan.instance(TASK, task.id), task);
  assert.throws(() => plan.instance("projects.Other", 1), RangeError);
});

test("there is no state before it has come", async (t) => {
  const { project } = await aProject(t);
  const plan = open(t, `plan/${project}`);
  assert.equal(plan.state, undefined);
  await until(() => plan.state);
});

test("only changed values, and those around them, are other objects", async (t) => {
  const { plan, talk, task, client } = await aPlan(t);
  await plan.create(STEP, { name: "Buy paint", task: task.id });
  await until(() => plan.state.tasks[0].steps[0]?.id);
  const before = plan.state;
  const told = [];
  plan.observe(() => told.push(plan.state));
  await talk.call("rename", { client, name: "Bob" });
  await until(() => plan.state.client.name === "Bob" && plan.state.tasks[0].client_name === "Bob");
  const after = plan.state;
  assert.notEqual(after, before);
  assert.notEqual(after.client, before.client);
  assert.notEqual(after.tasks, before.tasks);
  assert.equal(after.tasks[0].steps, before.tasks[0].steps);
  assert.equal(after.tags, before.tags);
  assert.equal(plan.state, after);
  assert(told.includes(after));
});

test("a saved row is there at once, and kept", async (t) => {
  const { plan, project, task } = await aPlan(t);
  const saved = plan.save(TASK, task.id, { title: "Paint it blue", position: 2 });
  assert.equal(plan.state.tasks[0].title, "Paint it blue");
  assert.equal(await saved, undefined);
  const other = open(t, `plan/${project}`);
  await until(() => other.state?.tasks[0].title === "Paint it blue");
});

test("a refused row is as it was before, and its author receives the reason", async (t) => {
  const { plan, task } = await aPlan(t);
  const saved = plan.save(TASK, task.id, { title: "SHOUTED" });
  assert.equal(plan.state.tasks[0].title, "SHOUTED");
  await assert.rejects(saved, refused(400, { title: ["Do not shout."] }));
  await until(() => plan.state.tasks[0].title === "Paint");
  const forbidden = plan.save(TASK, task.id, { title: "forbidden" });
  await assert.rejects(forbidden, (error) => error.status === 403);
  await until(() => plan.state.tasks[0].title === "Paint");
  // The valid change is saved beside it.
  const both = [
    plan.save(TASK, task.id, { title: "SHOUTED" }),
    plan.save(TASK, task.id, { position: 3 }),
  ];
  await assert.rejects(both[0]);
  await both[1];
  await until(() => plan.state.tasks[0].title === "Paint" && plan.state.tasks[0].position === 3);
});

test("new rows are where they belong at once, and have their keys when they are saved", async (t) => {
  const { plan, task } = await aPlan(t);
  const created = plan.create(TASK, { title: "Clean" });
  assert.deepEqual(
    plan.state.tasks.map(({ title, steps }) => [title, steps]),
    [
      ["Paint", []],
      ["Clean", []],
    ],
  );
  const key = Number(await created);
  await until(() => plan.state.tasks.some(({ id }) => id === key));
  assert.equal(plan.state.tasks.length, 2);
  const step = plan.create(STEP, { name: "Buy paint", task: task.id });
  assert.equal(plan.instance(TASK, task.id).steps[0].name, "Buy paint");
  await step;
  await until(() => plan.instance(TASK, task.id).steps[0]?.id);
});

test("new rows that are refused are gone again", async (t) => {
  const { plan } = await aPlan(t);
  const created = plan.create(TASK, { title: "forbidden" });
  assert.equal(plan.state.tasks.length, 2);
  await assert.rejects(created, (error) => error.status === 403);
  await until(() => plan.state.tasks.length === 1);
  await assert.rejects(plan.create(TAG, { name: "red" }), (error) => error.status === 403);
});

test("deleted rows are gone at once, and back if that is refused", async (t) => {
  const { plan, task } = await aPlan(t);
  await plan.save(TASK, task.id, { title: "Paint, and keep" });
  const kept = plan.delete(TASK, task.id);
  assert.equal(plan.state.tasks.length, 0);
  await assert.rejects(kept, (error) => error.status === 403);
  await until(() => plan.state.tasks[0]?.title === "Paint, and keep");
  await plan.save(TASK, task.id, { title: "Paint" });
  await plan.delete(TASK, task.id);
  assert.equal(plan.state.tasks.length, 0);
  await assert.rejects(plan.delete(TASK, task.id), (error) => error.status === 404);
  await assert.rejects(plan.save(TASK, task.id, { title: "" }), (error) => error.status === 404);
});

test("an offline change is saved, or refused, when the server is back", async (t) => {
  const { plan, task } = await aPlan(t);
  await tell("kill");
  await until(() => !plan.connected);
  const saves = [
    plan.save(TASK, task.id, { position: 9 }),
    plan.save(TASK, task.id, { title: "SHOUTED" }),
  ];
  assert.equal(plan.state.tasks[0].title, "SHOUTED");
  await tell("start");
  await saves[0];
  await assert.rejects(saves[1], refused(400, { title: ["Do not shout."] }));
  await until(() => plan.state.tasks[0].title === "Paint" && plan.state.tasks[0].position === 9);
});

test("changes that wait for a connection are given up with the channel", async (t) => {
  const { plan, task } = await aPlan(t);
  plan.disconnect();
  await assert.rejects(plan.save(TASK, task.id, { position: 1 }), (error) => error.isLost);
  plan.connect();
  await until(() => plan.connected && plan.provider.synced);
  plan.disconnect();
  plan.connect();
  const waiting = plan.save(TASK, task.id, { position: 2 });
  plan.destroy();
  await assert.rejects(waiting, (error) => error.isLost);
});

test("a list is in the order of the server, and new rows are at its end until they are there", async (t) => {
  const { client } = await aProject(t);
  const plans = open(t, `plans/${client}`, true);
  await until(() => plans.state?.length === 1);
  const before = plans.state;
  const created = plans.create(PROJECT, { name: "Attic" });
  assert.deepEqual(
    plans.state.map(({ name, tasks }) => [name, tasks.length]),
    [
      ["Kitchen", 1],
      ["Attic", 0],
    ],
  );
  assert.equal(plans.state[0], before[0]);
  const key = Number(await created);
  await until(() => plans.state[0].id === key && plans.state.length === 2);
  await assert.rejects(plans.create(PROJECT, { name: "forbidden" }));
  await until(() => plans.state.length === 2);
});

test("a list of a connection is its client's alone, and that of its next connection", async (t) => {
  const { client } = await aProject(t);
  const searches = [1, 2].map(() => open(t, "search/", true, { perConnection: true }));
  const names = () => searches.map(({ state }) => state?.map(({ name }) => name));
  await until(() => searches.every(({ state }) => state));
  await searches[0].call("search", { client });
  await until(() => searches[0].state.length === 1);
  assert.deepEqual(names(), [["Kitchen"], []]);
  searches[0].disconnect();
  searches[0].connect();
  await until(() => searches[0].provider.synced);
  assert.deepEqual(names(), [["Kitchen"], []]);
});

test("a list is empty where there is nothing", async (t) => {
  const plans = open(t, "plans/0", true);
  await until(() => plans.state);
  assert.deepEqual(plans.state, []);
  assert.equal(plans.state, plans.state);
});

test("components show the state, and are rendered when it changes", async (t) => {
  const { plan, task, project } = await aPlan(t);
  const renders = { all: 0, task: 0 };
  const All = () => {
    renders.all += 1;
    const { state, connected, ended } = useChannelState(plan);
    return `${state.name}: ${state.tasks.map(({ title }) => title)} ${connected} ${ended ?? ""}`;
  };
  const One = ({ type, id }) => {
    renders.task += 1;
    const one = useChannelInstance(plan, type, id);
    return one?.title ?? one?.name ?? "none";
  };
  const all = await show(t, All);
  const one = await show(t, One, { type: TASK, id: task.id });
  assert.equal(all.text, "Kitchen: Paint true ");
  assert.equal(one.text, "Paint");
  await act(() => plan.save(TASK, task.id, { title: "Clean" }));
  assert.equal(all.text, "Kitchen: Clean true ");
  assert.equal(one.text, "Clean");
  const before = { ...renders };
  await act(() => plan.create(TASK, { title: "Rest" }));
  assert(renders.all > before.all);
  assert.equal(renders.task, before.task);
  await one.rerender({ type: PROJECT, id: project });
  assert.equal(one.text, "Kitchen");
  await one.rerender({ type: TASK, id: 0 });
  assert.equal(one.text, "none");
  await act(() => plan.disconnect());
  assert.equal(all.text, "Kitchen: Clean,Rest false ");
});

test("components show the runtime state", async (t) => {
  const { talk } = await aProject(t);
  const Calls = () => {
    const { runtimeState, connected } = useChannel(talk);
    return connected ? `${runtimeState.calls} ${runtimeState.news ?? "-"}` : "away";
  };
  const shown = await show(t, Calls);
  assert.equal(shown.text, "0 -");
  await act(() => talk.call("set_news", { text: "rain" }));
  assert.equal(shown.text, "0 rain");
  await shown.unmount();
});
