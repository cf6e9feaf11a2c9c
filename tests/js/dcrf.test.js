/** The published client of djangochannelsrestframework, whose requests and answers are the same. */
import assert from "node:assert/strict";
import { test } from "node:test";

import dcrf from "dcrf-client";
import { WebSocket } from "ws";

import { address, tell, until } from "../../client-js/test/server.js";

const STREAM = "labels";

/** There is one stream on the connection, so no message names it. */
const serializer = {
  serialize: ({ payload }) => JSON.stringify(payload),
  deserialize: (text) => ({ stream: STREAM, payload: JSON.parse(text) }),
};

function connect(t) {
  // Its default export is one of CommonJS, which Node.js passes on as it is.
  const client = dcrf.default.connect(`${address("labels")}/`, {
    serializer,
    pkField: "id",
    websocket: {
      WebSocket,
      minReconnectionDelay: 50,
      maxReconnectionDelay: 100,
      // A server that starts again on a busy machine takes longer than the usual four seconds.
      connectionTimeout: 60_000,
    },
  });
  t.after(() => client.close());
  return client;
}

test("rows are created, read, changed and deleted", async (t) => {
  const client = connect(t);
  const label = await client.create(STREAM, { name: "one" });
  assert.equal(label.name, "one");
  assert.deepEqual(await client.retrieve(STREAM, label.id), label);
  assert.ok((await client.list(STREAM)).some(({ id }) => id === label.id));
  const named = (name) => ({ id: label.id, name });
  assert.deepEqual(await client.update(STREAM, label.id, { name: "two" }), named("two"));
  assert.deepEqual(await client.patch(STREAM, label.id, { name: "three" }), named("three"));
  assert.equal(await client.delete(STREAM, label.id), null);
  await assert.rejects(client.retrieve(STREAM, label.id), { response_status: 404 });
});

test("a call that is not valid is rejected with the reasons", async (t) => {
  const client = connect(t);
  await assert.rejects(client.create(STREAM, {}), {
    response_status: 400,
    errors: [{ name: ["This field is required."] }],
  });
  await assert.rejects(client.request(STREAM, { action: "none" }), { response_status: 405 });
});

test("subscribers receive changes by others", async (t) => {
  const [ann, bob] = [connect(t), connect(t)];
  const label = await ann.create(STREAM, { name: "one" });
  const told = [];
  const subscription = ann.subscribe(STREAM, label.id, (data, action) => told.push([action, data]));
  await subscription;
  await bob.patch(STREAM, label.id, { name: "two" });
  await bob.delete(STREAM, label.id);
  await until(() => told.length === 2);
  assert.deepEqual(told, [
    ["update", { id: label.id, name: "two" }],
    ["delete", { id: label.id }],
  ]);
});

test("subscriptions are there again when the server is", async (t) => {
  const client = connect(t);
  const label = await client.create(STREAM, { name: "one" });
  const names = [];
  await client.subscribe(STREAM, label.id, ({ name }) => names.push(name));
  await tell("restart");
  // It has subscribed again before it sends what has waited.
  await client.patch(STREAM, label.id, { name: "two" });
  await until(() => names.length > 0);
  assert.deepEqual(names, ["two"]);
});
