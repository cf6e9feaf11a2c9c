import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, test } from "node:test";

import { CloseCode, CollabProvider } from "django-collab";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

import { address, newRoom, tell, until } from "./server.js";

const STOCK = { WebSocketPolyfill: WebSocket, disableBc: true, maxBackoffTime: 100 };

function endWith(t, provider) {
  t.after(() => {
    provider.destroy();
    // And with it the timer of the presence.
    provider.doc.destroy();
  });
}

/** A provider that the test ends with. */
function open(t, room, { route, ...options } = {}) {
  const provider = new CollabProvider(address(route), room, new Y.Doc(), { ...STOCK, ...options });
  endWith(t, provider);
  return provider;
}

const text = (provider) => provider.doc.getText("text");
const write = (provider, string) => text(provider).insert(text(provider).length, string);

afterEach(() => tell("unlock"));

/** Grant that to the members of a room of the route "granted" from now on; of several, one at each check. */
async function grant(room, ...access) {
  const socket = new WebSocket(`${address("grant")}/${room}?access=${access}`);
  await once(socket, "close");
}

/** The arguments with which an event was told, in order. */
function told(provider, event) {
  const events = [];
  provider.on(event, (argument) => events.push(argument));
  return events;
}

test("edits reach another member, a stock one too", async (t) => {
  const room = newRoom();
  const ours = open(t, room);
  const stock = new WebsocketProvider(address(), room, new Y.Doc(), STOCK);
  endWith(t, stock);
  await until(() => ours.synced && stock.synced);
  write(ours, "ours ");
  await until(() => text(stock).toString() === "ours ");
  write(stock, "stock");
  await until(() => text(ours).toString() === "ours stock");
});

test("it learns its access and whether the document is stored", async (t) => {
  const provider = open(t, newRoom());
  assert.equal(provider.access, undefined);
  assert.equal(provider.durable, undefined);
  const access = told(provider, "access");
  await until(() => provider.access);
  assert.deepEqual(access, ["write"]);
  assert.equal(provider.durable, true);
});

test("a page of an older version may only read, and learns that it must be reloaded", async (t) => {
  const room = `versioned/${newRoom()}`;
  const old = open(t, room, { version: 0 });
  const upgrades = told(old, "upgrade");
  await until(() => old.access);
  assert.deepEqual([old.access, upgrades], ["read", [{ version: 0, required: 1 }]]);
  assert.equal(old.bcconnected, false);
});

for (const version of [undefined, 1, 2]) {
  test(`a page that says version ${version} may write where the server has version 1`, async (t) => {
    const provider = open(t, `versioned/${newRoom()}`, version === undefined ? {} : { version });
    const upgrades = told(provider, "upgrade");
    await until(() => provider.access);
    assert.deepEqual([provider.access, upgrades], ["write", []]);
  });
}

test("a room that lives in memory is not durable", async (t) => {
  const provider = open(t, newRoom(), { route: "unstored" });
  await until(() => provider.access);
  assert.equal(provider.durable, false);
});

test("updates are unsaved until the database has them, though others have long seen them", async (t) => {
  const room = newRoom();
  const [writer, reader] = [open(t, room), open(t, room)];
  const [saved, unsaved] = [told(writer, "saved"), told(writer, "unsaved")];
  await until(() => reader.synced && saved.length === 1);
  await tell("lock");
  write(writer, "a");
  write(writer, "b");
  await until(() => text(reader).toString() === "ab");
  assert.equal(writer.unsaved, 2);
  assert.equal(saved.length, 1);
  await tell("unlock");
  await until(() => writer.unsaved === 0);
  assert.deepEqual(unsaved.slice(0, 2), [1, 2]);
  assert.equal(unsaved.at(-1), 0);
  // The SyncStep2 that it answered the server with is one of the three frames.
  assert.deepEqual(saved.at(-1), { saved: 3, sent: 3 });
  assert.equal(reader.unsaved, 0);
});

test("an edit made before the first connection is counted and saved", async (t) => {
  const provider = open(t, newRoom(), { connect: false });
  write(provider, "early");
  assert.equal(provider.unsaved, 1);
  provider.connect();
  await until(() => provider.unsaved === 0);
});

test("an offline edit is counted, and saved after the server is back", async (t) => {
  const room = newRoom();
  const provider = open(t, room);
  write(provider, "before ");
  await until(() => provider.synced && provider.unsaved === 0);
  await tell("kill");
  await until(() => !provider.wsconnected);
  write(provider, "mean");
  write(provider, "while");
  assert.equal(provider.unsaved, 2);
  await tell("start");
  await until(() => provider.unsaved === 0);
  const other = open(t, room);
  await until(() => text(other).toString() === "before meanwhile");
});

test("an edit that a connection lost unsaved is saved by the next", async (t) => {
  const room = newRoom();
  const provider = open(t, room);
  await until(() => provider.synced && provider.unsaved === 0);
  await tell("lock");
  write(provider, "in flight");
  assert.equal(provider.unsaved, 1);
  await tell("kill");
  await until(() => !provider.wsconnected);
  assert.equal(provider.unsaved, 1);
  await tell("unlock");
  await tell("start");
  await until(() => provider.unsaved === 0);
  const other = open(t, room);
  await until(() => text(other).toString() === "in flight");
});

test("an edit that is not stored stays unsaved over a reconnect to the same server", async (t) => {
  const provider = open(t, newRoom());
  await until(() => provider.synced && provider.unsaved === 0);
  await tell("lock");
  write(provider, "in flight");
  provider.disconnect();
  provider.connect();
  await until(() => provider.synced);
  assert.equal(provider.unsaved, 1);
  await tell("unlock");
  await until(() => provider.unsaved === 0);
});

test("a reader's changes change nothing and are never saved", async (t) => {
  const room = newRoom();
  const reader = open(t, room, { route: "guarded", params: { access: "read" } });
  const writer = open(t, room, { route: "guarded", params: { access: "write" } });
  const frames = told(reader, "frame");
  await until(() => reader.access === "read" && writer.access === "write");
  write(reader, "forbidden");
  await until(() => frames.some((frame) => frame.response_status === 403));
  write(writer, "allowed");
  await until(() => text(reader).toString().includes("allowed"));
  assert.equal(text(writer).toString(), "allowed");
  assert.equal(reader.unsaved, 1);
});

test("parameters are asked for at each connection, and access may differ", async (t) => {
  const granted = ["read", "write"];
  const provider = open(t, newRoom(), {
    route: "guarded",
    params: async () => ({ access: granted.shift() ?? "write" }),
  });
  const access = told(provider, "access");
  await until(() => provider.access === "read");
  write(provider, "kept");
  provider.disconnect();
  provider.connect();
  await until(() => provider.access === "write" && provider.unsaved === 0);
  assert.deepEqual(access, ["read", "write"]);
});

test("access may be changed while connected; a refused edit is then saved", async (t) => {
  const room = newRoom();
  const provider = open(t, room, { route: "granted" });
  await until(() => provider.access === "write" && provider.unsaved === 0);
  await grant(room, "READ");
  await until(() => provider.access === "read");
  write(provider, "refused, ");
  await grant(room, "WRITE");
  await until(() => provider.access === "write");
  write(provider, "taken");
  await until(() => provider.unsaved === 0);
  const other = open(t, room);
  await until(() => text(other).toString() === "refused, taken");
});

test("access may be taken away while connected", async (t) => {
  const room = newRoom();
  const provider = open(t, room, { route: "granted", params: { user: "7" } });
  const closed = told(provider, "closed");
  await until(() => provider.synced);
  await grant(room, "NONE");
  await until(() => closed.length === 1);
  assert.equal(closed[0].code, CloseCode.FORBIDDEN);
});

test("a session that was renewed goes on by itself", async (t) => {
  const room = newRoom();
  const provider = open(t, room, { route: "granted" });
  const closed = told(provider, "closed");
  await until(() => provider.synced && provider.access === "write");
  const closes = told(provider, "connection-close");
  await grant(room, "NONE", "WRITE");
  await until(() => closes.length === 1);
  write(provider, "meanwhile");
  await until(() => provider.synced && provider.unsaved === 0);
  assert.equal(closes[0].code, CloseCode.UNAUTHENTICATED);
  assert.equal(closed.length, 0);
});

test("a session that has ended is refused for good", async (t) => {
  const room = newRoom();
  const provider = open(t, room, { route: "granted" });
  const closed = told(provider, "closed");
  await until(() => provider.synced && provider.access === "write");
  await grant(room, "NONE");
  await until(() => closed.length === 1);
  assert.equal(closed[0].code, CloseCode.UNAUTHENTICATED);
});

test("the token is asked for at each connection", async (t) => {
  let asked = 0;
  const token = async () => `token-${(asked += 1)}`;
  const provider = open(t, newRoom(), { route: "token", token, params: { expected: "token-2" } });
  const closed = told(provider, "closed");
  await until(() => closed.length === 1);
  assert.equal(closed[0].code, CloseCode.UNAUTHENTICATED);
  provider.connect();
  await until(() => provider.synced);
  assert.equal(asked, 2);
});

test("a token that cannot be had is asked for again", async (t) => {
  let asked = 0;
  const token = async () => {
    asked += 1;
    if (asked === 1) throw new Error("no token today");
    return "token";
  };
  const provider = open(t, newRoom(), { token });
  const errors = told(provider, "connection-error");
  const closes = told(provider, "connection-close");
  await until(() => provider.synced);
  assert.equal(errors[0].error.message, "no token today");
  assert.match(closes[0].reason, /no token today/);
});

for (const tokenIn of ["subprotocol", "frame"]) {
  test(`the token may be sent in a ${tokenIn}, and is checked`, async (t) => {
    const options = { route: "private", tokenIn };
    const provider = open(t, newRoom(), { ...options, token: () => "secret" });
    await until(() => provider.synced && provider.access === "write");
    write(provider, "by ann");
    await until(() => provider.unsaved === 0);
    const other = open(t, newRoom(), { ...options, token: () => "wrong" });
    const closed = told(other, "closed");
    await until(() => closed.length === 1);
    assert.equal(closed[0].code, CloseCode.UNAUTHENTICATED);
  });
}

test("nothing is opened for a provider that has gone before its token came", async (t) => {
  let answer;
  const token = new Promise((resolve) => (answer = resolve));
  const provider = open(t, newRoom(), { token: () => token });
  const { ws } = provider;
  provider.disconnect();
  answer("late");
  await token;
  assert.equal(ws.readyState, WebSocket.CLOSED);
  assert.equal(provider.ws, null);
});

for (const [code, user] of [
  [CloseCode.UNAUTHENTICATED, {}],
  [CloseCode.FORBIDDEN, { user: "7" }],
]) {
  test(`it stops trying after ${code} and says why`, async (t) => {
    const provider = open(t, newRoom(), { route: "guarded", params: { access: "none", ...user } });
    const closed = told(provider, "closed");
    await until(() => closed.length === 1);
    assert.equal(closed[0].code, code);
    assert.notEqual(closed[0].reason, "");
    assert.equal(provider.shouldConnect, false);
    assert.equal(provider.ws, null);
  });
}

test("it stops trying after 4404", async (t) => {
  const provider = open(t, newRoom(), { route: "refusing", params: { code: "4404" } });
  const closed = told(provider, "closed");
  await until(() => closed.length === 1);
  assert.equal(closed[0].code, CloseCode.NOT_FOUND);
});

// y-websocket#189: what is too large is sent, refused and sent again, without end.
test("it stops trying at once where an update is too large", async (t) => {
  const provider = open(t, newRoom(), { route: "refusing", params: { code: "1009" } });
  const refused = told(provider, "refused");
  const closes = told(provider, "connection-close");
  await until(() => refused.length === 1);
  assert.equal(refused[0].code, CloseCode.TOO_BIG);
  assert.deepEqual([closes.length, provider.shouldConnect], [1, false]);
});

test("it stops trying where a frame is refused twice", async (t) => {
  const provider = open(t, newRoom(), { route: "refusing", params: { code: "1008" } });
  const refused = told(provider, "refused");
  const closes = told(provider, "connection-close");
  await until(() => refused.length === 1);
  assert.deepEqual([closes.length, provider.shouldConnect], [2, false]);
  provider.connect();
  await until(() => refused.length === 2);
  assert.equal(closes.length, 4);
});

// liveblocks#1428: a large image ended the connection, and nothing after it was saved.
test("an update that is larger than a frame is sent in several, offline or not", async (t) => {
  const room = newRoom();
  const [large, other] = [open(t, room, { connect: false, maxFrameSize: 5000 }), open(t, room)];
  const saved = told(large, "saved");
  write(large, "offline ".repeat(5000));
  assert.equal(large.unsaved, 1);
  large.connect();
  await until(() => large.unsaved === 0);
  assert.ok(saved.at(-1).sent > 8);
  write(large, "online ".repeat(5000));
  await until(() => large.unsaved === 0);
  assert.ok(saved.at(-1).sent > 16);
  await until(() => text(other).length === text(large).length);
});

test("it tries again after 1013", async (t) => {
  const provider = open(t, newRoom(), { route: "refusing", params: { code: "1013" } });
  const closes = told(provider, "connection-close");
  await until(() => closes.length >= 2);
  assert.equal(closes[0].code, CloseCode.TRY_LATER);
  assert.equal(provider.shouldConnect, true);
});

test("presence of others comes and goes", async (t) => {
  const room = newRoom();
  const [watcher, guest] = [open(t, room), open(t, room)];
  guest.awareness.setLocalStateField("user", { name: "guest" });
  const seen = () => watcher.awareness.getStates().get(guest.doc.clientID)?.user?.name;
  await until(() => seen() === "guest");
  guest.disconnect();
  await until(() => seen() === undefined);
});

test("messages that are no part of the document go both ways", async (t) => {
  const room = newRoom();
  const [a, b] = [open(t, room, { route: "obeying" }), open(t, room, { route: "obeying" })];
  const [heard, others] = [told(a, "stateless"), told(b, "stateless")];
  assert.equal(a.sendStateless("too early"), false);
  await until(() => a.synced && b.synced && b.access);
  assert.equal(a.sendStateless("hello"), true);
  a.sendStateless("all refetch");
  await until(() => heard.length === 2 && others.length === 1);
  assert.deepEqual(heard, [{ payload: `${room}: hello` }, { payload: "refetch" }]);
  assert.deepEqual(others, [{ payload: "refetch" }]);
});
