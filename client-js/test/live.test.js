import assert from "node:assert/strict";
import { once } from "node:events";
import { test } from "node:test";

import { CollabProvider } from "django-collab";
import {
  DocumentChannel,
  LiveChannel,
  LiveError,
  path,
  watch,
  watchList,
} from "django-collab/live";
import { WebSocket, WebSocketServer } from "ws";
import * as Y from "yjs";

import { address, newRoom, tell, until } from "./server.js";

const OPTIONS = { WebSocketPolyfill: WebSocket, maxBackoffTime: 100 };

/** A channel that the test ends with; in a group of its own. */
function open(t, { group = newRoom(), ...options } = {}) {
  const server = address("talk/");
  const channel = new LiveChannel("", { ...OPTIONS, server, params: { group }, ...options });
  t.after(() => channel.destroy());
  return channel;
}

/** The two ways to the server: with a document, and without. */
const WAYS = {
  "without a document": open,
  "beside a document": (t) => {
    const provider = new CollabProvider(address("talk"), newRoom(), new Y.Doc(), {
      ...OPTIONS,
      disableBc: true,
    });
    const channel = new LiveChannel(provider);
    t.after(() => {
      channel.destroy();
      provider.destroy();
      provider.doc.destroy();
    });
    return channel;
  },
};

const is = (status, ...errors) => {
  return (error) => {
    assert(error instanceof LiveError);
    assert.deepEqual([error.status, error.errors], [status, errors]);
    return true;
  };
};

for (const [way, open] of Object.entries(WAYS)) {
  test(`actions are called ${way}`, async (t) => {
    const channel = open(t);
    // There is no connection yet.
    assert.equal(channel.connected, false);
    assert.equal(await channel.call("echo", { text: "ab", times: 2 }), "abab");
    assert.equal(channel.connected, true);
    assert.equal(await channel.call("set_news", { text: "ab" }), null);
    assert.equal(await channel.call("unannotated"), null);
  });

  test(`a caller receives the errors of its call ${way}`, async (t) => {
    const channel = open(t);
    await assert.rejects(channel.call("refuse"), is(409, "Not now.", { text: ["Not this."] }));
    await assert.rejects(channel.call("echo"), (error) => error.status === 400);
    await assert.rejects(channel.call("nothing"), (error) => error.status === 405);
    assert.equal(await channel.call("echo", { text: "still there" }), "still there");
  });

  test(`calls without an answer are rejected when the connection ends ${way}`, async (t) => {
    const channel = open(t);
    const waiting = channel.call("wait");
    const rejected = assert.rejects(waiting, (error) => error.isLost && error.action === "wait");
    await channel.call("echo", { text: "" });
    await tell("kill");
    await rejected;
    await tell("start");
    assert.equal(await channel.call("echo", { text: "back" }), "back");
  });

  test(`subscriptions are made again after a reconnection ${way}`, async (t) => {
    const channel = open(t);
    const [first, second] = [[], []];
    const subscription = channel.subscribe("subscribe_topic", { topic: "rain" }, (push) =>
      first.push(push.data),
    );
    channel.subscribe("subscribe_topic", { topic: "rain" }, (push) => second.push(push.data));
    assert.equal(await subscription.ready, "about rain");
    // Of two that are alike, each is told.
    assert.equal(await channel.call("push", { text: "drops" }), 2);
    assert.deepEqual([first, second], [["about rain", "drops"], ["about rain", "drops"]]);
    await tell("restart");
    assert.equal(await channel.call("push", { text: "more" }), 2);
    assert.deepEqual(first, ["about rain", "drops", "about rain", "more"]);
    assert.deepEqual(second, first);
    subscription.unsubscribe();
    subscription.unsubscribe();
    assert.equal(await channel.call("push", { text: "less" }), 1);
    assert.equal(first.length, 4);
    assert.equal(second.at(-1), "less");
  });

  test(`the runtime state is kept, and is that of the new connection afterwards ${way}`, async (t) => {
    const channel = open(t);
    const seen = [];
    channel.observe(() => seen.push(channel.runtimeState));
    await until(() => channel.runtimeState.calls === 0);
    const before = channel.runtimeState;
    await channel.call("set_news", { text: "rain" });
    assert.deepEqual(channel.runtimeState, { calls: 0, news: "rain" });
    assert.notEqual(channel.runtimeState, before);
    await tell("restart");
    await channel.call("echo", { text: "" });
    assert.deepEqual(channel.runtimeState, { calls: 1 });
    assert(seen.includes(before));
  });
}

test("a document and actions share a connection", async (t) => {
  const server = address("talk/");
  const room = newRoom();
  const channel = new DocumentChannel(room, { ...OPTIONS, disableBc: true, server });
  t.after(() => channel.destroy());
  channel.doc.getText("text").insert(0, "together");
  assert.equal(await channel.call("echo", { text: "a" }), "a");
  const doc = new Y.Doc();
  const other = new DocumentChannel(room, { ...OPTIONS, disableBc: true, server, doc });
  await until(() => doc.getText("text").toString() === "together");
  other.destroy();
  assert.equal(doc.isDestroyed, false);
  doc.destroy();
});

test("several channels share the connection of a provider", async (t) => {
  const { provider } = openDocument(t);
  const [one, other] = [new LiveChannel(provider), new LiveChannel(provider)];
  const calls = [one, other].map((channel, index) => channel.call("echo", { text: `${index}` }));
  assert.deepEqual(await Promise.all(calls), ["0", "1"]);
  const late = new LiveChannel(provider);
  await until(() => late.runtimeState.calls === 2);
  one.destroy();
  // The provider goes on, and with it the others.
  assert.equal(await other.call("echo", { text: "c" }), "c");
  await assert.rejects(one.call("wait"), (error) => error.isLost);
});

function openDocument(t) {
  const channel = new DocumentChannel(newRoom(), {
    ...OPTIONS,
    disableBc: true,
    server: address("talk/"),
  });
  t.after(() => channel.destroy());
  return channel;
}

test("many calls at the same moment have answers of their own", async (t) => {
  const channel = open(t);
  const texts = Array.from({ length: 90 }, (_, index) => `text ${index}`);
  await channel.call("echo", { text: "" });
  assert.deepEqual(await Promise.all(texts.map((text) => channel.call("echo", { text }))), texts);
});

test("ids of calls are texts that differ, also between channels", async (t) => {
  const ids = new Set();
  const server = new WebSocketServer({ port: 0 });
  t.after(() => server.close());
  server.on("connection", (socket) =>
    socket.on("message", (data) => {
      const { action, request_id } = JSON.parse(data);
      if (action === "note") ids.add(request_id);
    }),
  );
  await once(server, "listening");
  const url = `ws://127.0.0.1:${server.address().port}/`;
  const channels = [1, 2].map(() => new LiveChannel(url, OPTIONS));
  const calls = channels.flatMap((channel) =>
    Array.from({ length: 1000 }, () => channel.call("note")),
  );
  await until(() => ids.size === 2000);
  assert([...ids].every((id) => typeof id === "string" && id.length < 40));
  for (const channel of channels) channel.destroy();
  const ends = await Promise.allSettled(calls);
  assert(ends.every(({ status, reason }) => status === "rejected" && reason.isLost));
});

test("a server that does not answer any more is connected to again", async (t) => {
  const server = new WebSocketServer({ port: 0 });
  t.after(() => server.close());
  const connections = [];
  const options = { ...OPTIONS, heartbeat: 20 };
  server.on("connection", (socket) => {
    connections.push(socket);
    if (connections.length === 1) return;
    // However late this process is.
    options.heartbeat = 60_000;
    socket.on("message", (data) => answer(socket, JSON.parse(data)));
  });
  const answer = (socket, { action, request_id }) =>
    socket.send(JSON.stringify({ action, request_id, data: "there", errors: [], response_status: 200 }));
  await once(server, "listening");
  const url = `ws://127.0.0.1:${server.address().port}/`;
  const channel = new LiveChannel(url, options);
  t.after(() => channel.destroy());
  const lost = channel.call("note");
  await assert.rejects(lost, is(0, "The server does not answer."));
  assert.equal(await channel.call("note"), "there");
  assert.equal(connections.length, 2);
});

test("events reach the listeners of their type", async (t) => {
  const group = newRoom();
  const [channel, other] = [open(t, { group }), open(t, { group })];
  const [told, again, notified] = [[], [], []];
  const off = channel.on("told", (data, push) => told.push([data.text, push.group, push.number]));
  channel.on("told", (data) => again.push(data.text));
  channel.on("notification", (data) => notified.push(data.text));
  await channel.call("echo", { text: "" });
  await other.call("tell", { group, text: "one" });
  await until(() => again.length === 1);
  assert.deepEqual(told, [["one", group, null]]);
  off();
  await other.call("tell", { group, text: "two" });
  await other.call("notify", { text: "lunch" });
  await until(() => again.length === 2 && notified.includes("lunch"));
  assert.equal(told.length, 1);
});

test("kept events come once, and missed ones after a reconnection", async (t) => {
  const group = newRoom();
  const [channel, other] = [open(t, { group }), open(t, {})];
  const told = [];
  channel.on("told", ({ text }, { number }) => told.push([number, text]));
  // It is in its group.
  await channel.call("echo", { text: "" });
  await other.call("tell", { group, text: "one", replay: 9 });
  await other.call("tell", { group, text: "two", replay: 9 });
  await until(() => told.length === 2);
  assert.equal(channel.lastNumber(group), 2);
  channel.disconnect();
  await other.call("tell", { group, text: "three", replay: 9 });
  channel.connect();
  await until(() => told.length === 3);
  await channel.call("echo", { text: "" });
  assert.deepEqual(told, [
    [1, "one"],
    [2, "two"],
    [3, "three"],
  ]);
  assert.equal(channel.lastNumber("others"), 0);
});

test("a subscription that the server refuses is ended, and its maker receives the error", async (t) => {
  const channel = open(t);
  const refused = channel.subscribe("subscribe_topic", { topic: "closed" });
  await assert.rejects(refused.ready, is(403, "Not for you."));
  const errors = [];
  channel.subscribe("subscribe_topic", { topic: "closed" }, undefined, {
    onError: (error) => errors.push(error.status),
  });
  await until(() => errors.length === 1);
  assert.equal(await channel.call("push", { text: "" }), 0);
});

test("it stops trying where it is refused for good, and calls are rejected", async (t) => {
  const channel = open(t, { params: { refuse: "1" } });
  const first = assert.rejects(channel.call("echo", { text: "" }), (error) => error.isLost);
  await until(() => channel.ended !== undefined);
  await first;
  assert.equal(channel.ended.code, 4401);
  assert.equal(channel.transport.connects, false);
  await assert.rejects(channel.call("echo", { text: "" }), (error) => error.isLost);
  // It may be tried again.
  channel.connect();
  assert.equal(channel.ended, undefined);
  await until(() => channel.ended !== undefined);
});

test("calls wait for the next connection", async (t) => {
  const channel = open(t, { connect: false });
  await assert.rejects(channel.call("echo", { text: "" }), (error) => error.isLost);
  channel.connect();
  const call = channel.call("echo", { text: "at last" });
  assert.equal(await call, "at last");
  await channel.call("leave", { code: 1012 }).catch(() => undefined);
  await until(() => !channel.connected);
  assert.equal(await channel.call("echo", { text: "again" }), "again");
});

test("state older than a token is asked for again at each connection", async (t) => {
  let asked = 0;
  const channel = open(t, { token: () => `token-${(asked += 1)}` });
  await channel.call("echo", { text: "" });
  channel.disconnect();
  assert.equal(channel.connected, false);
  channel.connect();
  await channel.call("echo", { text: "" });
  assert.equal(asked, 2);
});

test("paths are those of the page's own server, with values quoted", () => {
  assert.equal(path`/ws/${"a/b c"}/${7}/`, "/ws/a%2Fb%20c/7/");
  globalThis.location = new URL("https://example.com/page/");
  const channel = new LiveChannel(path`/ws/${1}`, { ...OPTIONS, connect: false });
  assert.equal(channel.transport.url, "wss://example.com/ws/1");
  delete globalThis.location;
  channel.destroy();
});

const CLIENTS = { label: "projects.Client" };

test("a row is watched, also after a reconnection, until it is gone", async (t) => {
  const channel = open(t);
  const [, client] = await channel.call("new_project", { name: "Kitchen", client: "Ann" });
  const seen = [];
  const watching = watch(channel, CLIENTS, client, (row) => seen.push(row?.name));
  await watching.ready;
  await channel.call("rename", { client, name: "Bob" });
  await until(() => seen.length === 2);
  channel.disconnect();
  channel.connect();
  await until(() => seen.length === 3);
  await channel.call("remove", { client });
  await until(() => seen.length === 4);
  assert.deepEqual(seen, ["Ann", "Bob", "Bob", undefined]);
  watching.unsubscribe();
  await assert.rejects(watch(channel, CLIENTS, client, () => undefined).ready, (error) => {
    return error.status === 404;
  });
});

test("a list of rows is watched as they come, change and go", async (t) => {
  const channel = open(t);
  const name = newRoom();
  const seen = [];
  const watching = watchList(channel, CLIENTS, { name }, (rows) => seen.push([...rows.values()]));
  await watching.ready;
  const [, client] = await channel.call("new_project", { name: "Kitchen", client: name });
  await until(() => seen.length === 2);
  await channel.call("rename", { client, name: "another" });
  await until(() => seen.length === 3);
  assert.deepEqual(seen, [[], [{ id: client, name }], []]);
  await channel.call("rename", { client, name });
  await until(() => seen.length === 4);
  watching.unsubscribe();
  await channel.call("rename", { client, name: "another" });
  assert.equal(seen.length, 4);
});
