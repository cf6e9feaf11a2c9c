/** La Suite Docs' providers, and its other requests, against example/la_suite; run by pytest. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as provider3 from "hocuspocus-provider-3";
import { WebSocket } from "ws";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

import { tell, until } from "../../client-js/test/server.js";
import { isStored, openDocument, textOf, write } from "./hocuspocus.js";

const { http, key, users, documents } = JSON.parse(process.env.LA_SUITE);
const origin = { origin: http };
const ws = http.replace("http", "ws");

/** A websocket as the browser of a user opens it. */
const socketOf = (user) =>
  class extends WebSocket {
    constructor(url, protocols) {
      const headers = user ? { ...origin, cookie: `sessionid=${users[user].session}` } : origin;
      super(url, protocols, { headers });
      this.on("error", () => {});
    }
  };

/** A document as the front end of today opens it. */
function open(t, name, user, query = `?room=${name}`) {
  const websocketProvider = new provider3.HocuspocusProviderWebsocket({
    url: `${ws}/collaboration/ws/${query}`,
    WebSocketPolyfill: socketOf(user),
    delay: 50,
    minDelay: 50,
    maxDelay: 200,
  });
  t.after(() => websocketProvider.destroy());
  return openDocument(t, ["3.4.4", provider3], websocketProvider, name, { token: undefined });
}

/** A document as y-websocket 3 opens it. */
function openPlain(t, name, user) {
  const options = { WebSocketPolyfill: socketOf(user), disableBc: true };
  const provider = new WebsocketProvider(`${ws}/collaboration/ws`, name, new Y.Doc(), options);
  t.after(() => {
    provider.destroy();
    provider.doc.destroy();
  });
  return { document: provider.doc, provider };
}

/** A request of the project's own servers. */
const ask = (path, { headers = {}, ...options } = {}) =>
  fetch(`${http}/${path}`, { ...options, headers: { authorization: key, ...headers } });

const reset = (room, headers = {}) =>
  ask(`collaboration/api/reset-connections/?room=${room}`, { method: "POST", headers });

const connections = async (room, user) => {
  const session = users[user].session;
  const answer = await ask(
    `collaboration/api/get-connections/?room=${room}&sessionKey=${session}`,
  );
  return [answer.status, await answer.json()];
};

const convert = async (from, to, body) => {
  const headers = { "content-type": from, accept: to };
  const answer = await ask("api/convert/", { method: "POST", headers, body });
  return [answer.status, Buffer.from(await answer.arrayBuffer())];
};

/** A request of a browser whose websockets are blocked. */
async function poll(room, user, doc, changes) {
  const csrf = "x".repeat(32);
  const encode = (bytes) => bytes && Buffer.from(bytes).toString("base64");
  const answer = await fetch(`${http}/collaboration/api/poll/?room=${room}`, {
    method: "POST",
    headers: {
      cookie: `sessionid=${user ? users[user].session : ""}; csrftoken=${csrf}`,
      "x-csrftoken": csrf,
    },
    body: JSON.stringify({
      state64: encode(Y.encodeStateVector(doc)),
      ...(changes && { localDoc64: encode(changes) }),
    }),
  });
  if (!answer.ok) return answer.status;
  const { syncDoc64, access } = await answer.json();
  Y.applyUpdate(doc, Buffer.from(syncDoc64, "base64"));
  return access;
}

test("the provider of today and y-websocket edit one document, with the session's cookie", async (t) => {
  const [a, b] = [open(t, documents.root, "alice"), openPlain(t, documents.root, "bob")];
  await until(() => isStored(a) && b.provider.synced);
  write(a, "from 3.4.4, ");
  await until(() => textOf(b) === "from 3.4.4, ");
  write(b, "from y-websocket");
  await until(() => textOf(a) === "from 3.4.4, from y-websocket" && isStored(a));
});

test("a user without a cookie reads documents open to all, and no others", async (t) => {
  const [closed, shared] = [open(t, documents.root), open(t, documents.shared)];
  await until(() => closed.heard.refusals.length && shared.synced);
  assert.deepEqual(closed.heard.refusals, ["permission-denied"]);
  assert.equal(shared.authorizedScope, "readonly");
});

test("a connection to a room opens no other", async (t) => {
  const provider = open(t, documents.root, "alice", `?room=${documents.shared}`);
  await until(() => provider.heard.refusals.length);
  assert.deepEqual(provider.heard.refusals, ["The connection is for another document."]);
});

test("changed rights of a subtree hold at once, and no reader is disconnected", async (t) => {
  const [a, b] = ["alice", "bob"].map((user) => open(t, documents.leaf, user));
  await until(() => isStored(a) && isStored(b));
  assert.equal((await reset(documents.root, { authorization: "wrong" })).status, 401);
  await tell("make-bob-a-reader");
  assert.equal((await reset(documents.root, { "x-user-id": users.bob.id })).status, 200);
  await until(() => b.authorizedScope === "readonly");
  assert.deepEqual([a.heard.scopes, b.heard.closes], [["read-write"], []]);
  write(a, "still here");
  await until(() => textOf(b) === "still here" && isStored(a));
  await tell("remove-bob");
  await reset(documents.root);
  await until(() => b.heard.closes.length);
  assert.deepEqual([a.heard.scopes, a.heard.closes], [["read-write"], []]);
  await tell("make-bob-an-editor");
});

test("it says how many may write, and whether a session's user is among them", async (t) => {
  assert.deepEqual((await connections(documents.other, "alice"))[0], 404);
  const provider = open(t, documents.other, "alice");
  await until(() => provider.synced);
  assert.deepEqual(await connections(documents.other, "alice"), [200, { count: 1, exists: true }]);
  assert.deepEqual(await connections(documents.other, "bob"), [200, { count: 1, exists: false }]);
  const without = await ask(`collaboration/api/get-connections/?room=${documents.other}`);
  assert.equal(without.status, 400);
});

test("it converts between the formats of y-provider", async () => {
  const [markdown, yjs] = ["text/markdown", "application/vnd.yjs.doc"];
  const json = "application/vnd.blocknote+json";
  const text = "# Title\n\nSome **bold** words.";
  const [status, update] = await convert(markdown, yjs, text);
  assert.equal(status, 200);
  const doc = new Y.Doc();
  Y.applyUpdate(doc, update);
  assert.match(doc.getXmlFragment("document-store").toString(), /Title/);
  const blocks = JSON.parse((await convert(yjs, json, update))[1]);
  assert.deepEqual(blocks.map(({ type }) => type), ["heading", "paragraph"]);
  const [, html] = await convert(json, "text/html", JSON.stringify(blocks));
  assert.match(html.toString(), /<h1>Title<\/h1>.*<strong>bold<\/strong>/);
  const [, back] = await convert(yjs, markdown, update);
  assert.equal(back.toString().trim(), text);
  assert.equal((await convert(yjs, markdown, "no update"))[0], 400);
  assert.equal((await convert(json, markdown, "{"))[0], 400);
  assert.equal((await convert("text/csv", markdown, "a"))[0], 415);
  assert.equal((await convert(markdown, "text/csv", "a"))[0], 406);
  assert.equal((await convert(markdown, yjs, ""))[0], 400);
  assert.equal((await convert(markdown, yjs, Buffer.alloc(20 * 1024 * 1024 + 1, "a")))[0], 413);
});

test("a browser whose websockets are blocked polls", async (t) => {
  const name = documents.polled;
  const provider = open(t, name, "alice");
  await until(() => provider.synced);
  const doc = new Y.Doc();
  assert.equal(await poll(name, "bob", doc), "write");
  write({ document: doc }, "polled, ");
  assert.equal(await poll(name, "bob", doc, Y.encodeStateAsUpdate(doc)), "write");
  await until(() => textOf(provider) === "polled, ");
  write(provider, "live");
  await until(() => isStored(provider));
  assert.equal(await poll(name, "bob", doc), "write");
  assert.equal(textOf({ document: doc }), "polled, live");
  assert.equal(await poll(name, undefined, new Y.Doc()), 403);
  const reader = new Y.Doc();
  assert.equal(await poll(documents.shared, undefined, reader), "read");
  write({ document: reader }, "no");
  assert.equal(
    await poll(documents.shared, undefined, reader, Y.encodeStateAsUpdate(reader)),
    403,
  );
  assert.equal(await poll(name, "bob", doc, new Uint8Array([1, 2, 3])), 400);
});

test("it answers probes, and refuses rooms that do not exist", async () => {
  assert.deepEqual(await (await fetch(`${http}/ping/`)).json(), { message: "pong" });
  assert.equal((await reset("00000000-0000-4000-8000-000000000000")).status, 404);
  assert.equal((await reset("nonsense")).status, 400);
  assert.equal((await reset("")).status, 400);
});
