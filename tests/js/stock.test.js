import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { newRoom, tell, until } from "../../client-js/test/server.js";
import { y3, y4 } from "./clients.js";
import { SyncStatus } from "./status.js";

afterEach(() => tell("unlock"));

for (const [ours, theirs] of [
  [y3, y3],
  [y4, y4],
  [y3, y4],
]) {
  const pair = `${ours.name} and ${theirs.name}`;

  const open = async (t) => {
    const room = newRoom();
    // Both by the same route: a room may send updates back to some members only.
    const route = ours === y4 || theirs === y4 ? "echoing" : "ws";
    const clients = [ours.open(t, room, route), theirs.open(t, room, route)];
    await until(() => clients.every((client) => client.provider.synced));
    return clients;
  };

  test(`${pair} converge`, async (t) => {
    const [a, b] = await open(t);
    for (let turn = 0; turn < 50; turn += 1) {
      a.write(`a${turn} `);
      b.write(`b${turn} `);
    }
    await until(() => a.text === b.text && a.text.includes("a49") && b.text.includes("b49"));
    assert.equal(a.text.split(" ").length, 101);
  });

  test(`${pair} see each other come and go`, async (t) => {
    const [a, b] = await open(t);
    b.provider.awareness.setLocalStateField("user", { name: "b" });
    await until(() => a.nameOf(b) === "b");
    b.provider.shouldConnect = false;
    b.provider.ws.terminate();
    await until(() => a.nameOf(b) === undefined);
    b.provider.connect();
    await until(() => a.nameOf(b) === "b");
    b.provider.disconnect();
    await until(() => a.nameOf(b) === undefined);
  });

  for (const how of ["stopped", "killed"]) {
    test(`${pair} converge after the server was ${how}`, async (t) => {
      const [a, b] = await open(t);
      a.write("before ");
      await until(() => b.text === "before ");
      await tell(how === "killed" ? "kill" : "stop");
      await until(() => !a.provider.synced && !b.provider.synced);
      a.write("a ");
      b.write("b ");
      await tell("start");
      await until(() => a.provider.synced && b.provider.synced && a.text === b.text);
      assert.equal(a.text.length, "before a b ".length);
    });
  }
}

for (const generation of [y3, y4]) {
  test(`${generation.name} finds all again that was written before`, async (t) => {
    const room = newRoom();
    const writer = generation.open(t, room);
    await until(() => writer.provider.synced);
    writer.write("kept");
    const witness = generation.open(t, room);
    await until(() => witness.text === "kept");
    writer.end();
    witness.end();
    await tell("restart");
    const reader = generation.open(t, room);
    await until(() => reader.provider.synced);
    assert.equal(reader.text, "kept");
  });

  // A client on whose connection nothing arrives for half a minute takes it for dead.
  test(`${generation.name} hears its own presence, even alone`, async (t) => {
    const client = generation.open(t, newRoom());
    await until(() => client.provider.synced);
    for (const name of ["still", "all", "alone"]) {
      const mark = Date.now() - 1;
      client.provider.wsLastMessageReceived = mark;
      client.provider.awareness.setLocalStateField("user", { name });
      await until(() => client.provider.wsLastMessageReceived !== mark);
    }
  });

  test(`${generation.name} is refused in the handshake`, async (t) => {
    const client = generation.open(t, newRoom(), "guarded");
    let refusals = 0;
    client.provider.on("connection-error", (event) => {
      assert.match(event.message, /403/);
      refusals += 1;
    });
    await until(() => refusals >= 2);
    assert.equal(client.provider.wsconnected, false);
  });
}

test("y-websocket 4 takes its updates for saved when they are stored, not before", async (t) => {
  const room = newRoom();
  const [writer, reader] = [y4.open(t, room), y4.open(t, room)];
  const status = new SyncStatus(writer.provider);
  await until(() => writer.provider.synced && reader.provider.synced);
  await tell("lock");
  writer.write("first ");
  writer.write("second");
  await until(() => reader.text === "first second");
  // The reader's frames now reach the writer behind all that the server sent it before.
  reader.write("!");
  await until(() => writer.text === "first second!");
  assert.equal(status.saved, false);
  await tell("unlock");
  await until(() => status.saved);
});

test("y-websocket 4 reports its offline edits as saved in the end", async (t) => {
  const writer = y4.open(t, newRoom());
  const status = new SyncStatus(writer.provider);
  await until(() => writer.provider.synced);
  await tell("kill");
  await until(() => !writer.provider.synced);
  writer.write("offline");
  assert.equal(status.saved, false);
  await tell("start");
  await until(() => status.saved);
});
