/** The promises to stock providers, of Hocuspocus' own server and of ours. */
import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import * as Y from "yjs";

import { newRoom, tell, until } from "../../client-js/test/server.js";
import { y3 } from "./clients.js";
import * as lib from "./hocuspocus.js";

const { VERSIONS, isStored, nameOf, openRaw, openSocket, ours, textOf, theirs, write } = lib;
const [v4] = VERSIONS;

/** Hocuspocus' own server, which does not wait long for a document. */
const hasty = Object.assign(Object.create(theirs), {
  timeout: 500,
  directory: undefined,
  port: undefined,
});
before(async () => {
  await theirs.start();
  await hasty.start();
});
after(() => Promise.all([theirs.remove(), hasty.remove()]));
afterEach(() => tell("unlock"));

const newName = () => `shared/${newRoom()}`;

for (const server of [theirs, ours]) {
  for (const version of VERSIONS) {
    // Version 2 does not know questions for tokens, and documents that are closed.
    const promiseFrom3 = (...rest) => version[0].startsWith("2") || promise(...rest);
    const promise = (text, run) => {
      test(`${server.name}, ${version[0]}: ${text}`, (t) => {
        const open = (name, options, socket = openSocket(t, version, server.url)) =>
          lib.openDocument(t, version, socket, name, options);
        return run(open, t);
      });
    };

    promise("clients converge", async (open) => {
      const name = newName();
      const [a, b] = [open(name), open(name)];
      await until(() => a.synced && b.synced);
      for (let turn = 0; turn < 50; turn += 1) {
        write(a, `a${turn} `);
        write(b, `b${turn} `);
      }
      await until(() => isStored(a) && isStored(b) && textOf(a) === textOf(b));
      assert.equal(textOf(a).split(" ").length, 101);
    });

    promise("many documents share a connection", async (open, t) => {
      const names = Array.from({ length: 20 }, newName);
      const sockets = [0, 1].map(() => openSocket(t, version, server.url));
      const [a, b] = sockets.map((socket) => names.map((name) => open(name, {}, socket)));
      await until(() => [...a, ...b].every((each) => each.synced));
      a.forEach((each, number) => write(each, `text ${number}`));
      await until(() => b.every((each, number) => textOf(each) === `text ${number}`));
    });

    promise("a refused document leaves the others alone, and may be tried again", async (open, t) => {
      const socket = openSocket(t, version, server.url);
      const name = newName();
      const [good, bad] = [open(newName(), {}, socket), open(name, { token: "forbidden" }, socket)];
      await until(() => good.synced && bad.heard.refusals.length);
      assert.deepEqual(bad.heard.refusals, ["Not for you."]);
      write(good, "still here");
      await until(() => isStored(good));
      // Version 2 keeps a refused provider until it is destroyed.
      const isOld = version[0].startsWith("2");
      if (isOld) bad.destroy();
      // On the same connection Hocuspocus' own server may take its end for that of the next.
      const again = open(name, {}, ...(isOld && server === theirs ? [] : [socket]));
      await until(() => isStored(again));
    });

    promise("a reader reads, and its changes are never stored", async (open) => {
      const name = newName();
      const [writer, reader] = [open(name), open(name, { token: "reader" })];
      await until(() => writer.synced && isStored(reader));
      assert.equal(reader.authorizedScope, "readonly");
      write(writer, "hello");
      await until(() => textOf(reader) === "hello");
      write(reader, "!");
      write(writer, " world");
      await until(() => textOf(reader).includes("world") && isStored(writer));
      assert.equal(textOf(writer), "hello world");
      assert.equal(reader.unsyncedChanges, 1);
    });

    promiseFrom3("a token is sent again when either side wants it", async (open) => {
      let [asked, token] = [0, "writer.1"];
      const provider = open(newName(), { token: () => ((asked += 1), token) });
      await until(() => isStored(provider));
      token = "writer.2";
      provider.sendStateless("token");
      await until(() => asked === 2);
      await provider.sendToken();
      write(provider, "still here");
      await until(() => isStored(provider));
      token = "expired";
      await provider.sendToken();
      await until(() => provider.heard.closes.length);
      assert.deepEqual(provider.heard.closes, ["The token has expired."]);
    });

    promise("messages reach the server, and all clients", async (open) => {
      const name = newName();
      const [a, b] = [open(name), open(name)];
      await until(() => a.synced && b.synced);
      a.sendStateless("hello");
      a.sendStateless("all refetch");
      await until(() => a.heard.stateless.length === 2 && b.heard.stateless.length === 1);
      assert.deepEqual(a.heard.stateless, [`${name}: hello`, "refetch"]);
      assert.deepEqual(b.heard.stateless, ["refetch"]);
    });

    promise("clients see each other come and go", async (open) => {
      const name = newName();
      const [a, b] = [open(name), open(name)];
      a.setAwarenessField("user", { name: "a" });
      await until(() => nameOf(b, a) === "a");
      b.setAwarenessField("user", { name: "b" });
      await until(() => nameOf(a, b) === "b");
      b.destroy();
      await until(() => nameOf(a, b) === undefined);
    });

    promiseFrom3("a document that the server closes leaves the connection open", async (open, t) => {
      const socket = openSocket(t, version, server.url);
      const [a, b] = [open(newName(), {}, socket), open(newName(), {}, socket)];
      await until(() => isStored(a) && isStored(b));
      a.sendStateless("close");
      await until(() => a.heard.closes.length);
      assert.deepEqual(a.heard.closes, ["Lunch."]);
      write(b, "still here");
      await until(() => isStored(b));
      assert.deepEqual(b.heard.closes, []);
    });

    promiseFrom3("changes made while the server is away arrive", async (open) => {
      const name = newName();
      const [a, b] = [open(name), open(name)];
      await until(() => isStored(a) && isStored(b));
      write(a, "before ");
      await until(() => textOf(b) === "before " && isStored(a));
      await server.stop();
      await until(() => !a.synced && !b.synced);
      write(a, "a ");
      write(b, "b ");
      await server.start();
      await until(() => isStored(a) && isStored(b) && textOf(a) === textOf(b));
      assert.equal(textOf(a).length, "before a b ".length);
    });

    promise("a large document is sent and received", async (open) => {
      const name = newName();
      const a = open(name);
      await until(() => a.synced);
      write(a, "large ".repeat(200_000));
      await until(() => isStored(a));
      const b = open(name);
      await until(() => textOf(b) === textOf(a));
    });
  }

  test(`${server.name}: sessions of one document are clients of their own`, async (t) => {
    const [name, socket] = [newName(), openSocket(t, v4, server.url)];
    const [a, b] = [0, 1].map(() => lib.openDocument(t, v4, socket, name, { sessionAwareness: true }));
    await until(() => isStored(a) && isStored(b));
    write(a, "hello");
    await until(() => textOf(b) === "hello");
    a.setAwarenessField("user", { name: "a" });
    await until(() => nameOf(b, a) === "a");
  });

  test(`${server.name}: frames before a token are limited`, async (t) => {
    const socket = await openRaw(t, server.url);
    for (let number = 0; number < 200; number += 1) socket.sendTo(`room ${number}`, 0, 0, "");
    await until(() => socket.closeCode === 4205);
  });

  test(`${server.name}: a frame without an address ends the connection`, async (t) => {
    const socket = await openRaw(t, server.url);
    socket.send(new Uint8Array([5, 1]));
    await until(() => socket.closeCode === 4401);
  });

  test(`${server.name}: a client that opens no document in time is disconnected`, async (t) => {
    const socket = await openRaw(t, (server === theirs ? hasty : server).url);
    socket.sendTo(newName(), 0, 0, "");
    await until(() => socket.closeCode !== undefined);
    assert.equal(socket.closeCode, 4408);
  });
}

// Both protocols.

for (const version of VERSIONS) {
  test(`${version[0]} and y-websocket converge in one document`, async (t) => {
    const name = newName();
    const a = lib.openDocument(t, version, openSocket(t, version, ours.url), name);
    const b = y3.open(t, name);
    await until(() => a.synced && b.provider.synced);
    for (let turn = 0; turn < 50; turn += 1) {
      write(a, `a${turn} `);
      b.write(`b${turn} `);
    }
    await until(() => isStored(a) && b.text === textOf(a) && b.text.split(" ").length === 101);
  });

  test(`${version[0]} hears that its changes are stored when they are, not before`, async (t) => {
    const name = newName();
    const [writer, reader] = [0, 1].map(() =>
      lib.openDocument(t, version, openSocket(t, version, ours.url), name),
    );
    await until(() => isStored(writer) && isStored(reader));
    await tell("lock");
    write(writer, "first ");
    write(writer, "second");
    await until(() => textOf(reader) === "first second");
    // The reader's frames now reach the writer behind all that the server sent it before.
    write(reader, "!");
    await until(() => textOf(writer) === "first second!");
    assert.equal(writer.unsyncedChanges, 2);
    await tell("unlock");
    await until(() => isStored(writer) && isStored(reader));
  });
}

// Too large frames.

const MIB = 1024 * 1024;

for (const version of VERSIONS.filter(([name]) => !name.startsWith("2"))) {
  test(`${version[0]}: an update that is too large closes its document alone`, async (t) => {
    const socket = openSocket(t, version, ours.url);
    const [large, other] = [0, 1].map(() => lib.openDocument(t, version, socket, newName()));
    await until(() => isStored(large) && isStored(other));
    write(large, "x".repeat(17 * MIB));
    await until(() => large.heard.closes.length);
    assert.match(large.heard.closes[0], /more than/);
    assert.equal(large.unsyncedChanges > 0, true);
    write(other, "still here");
    await until(() => isStored(other));
  });
}

for (const version of VERSIONS) {
  test(`${version[0]}: a frame that no document may have ends the connection with 1009`, async (t) => {
    const socket = openSocket(t, version, ours.url);
    const codes = [];
    socket.on("close", ({ event }) => codes.push(event.code));
    const provider = lib.openDocument(t, version, socket, newName());
    await until(() => isStored(provider));
    write(provider, "x".repeat(65 * MIB));
    await until(() => codes.includes(1009));
    socket.disconnect();
  });
}

// Promises that Hocuspocus breaks.

async function textAfterKill(t, server) {
  const name = newName();
  const writer = lib.openDocument(t, v4, openSocket(t, v4, server.url), name);
  await until(() => isStored(writer));
  write(writer, "reported as stored");
  await until(() => isStored(writer));
  await server.kill();
  writer.destroy();
  writer.configuration.websocketProvider.destroy();
  await server.start();
  const reader = lib.openDocument(t, v4, openSocket(t, v4, server.url), name);
  await until(() => isStored(reader));
  return textOf(reader);
}

test("an update reported as stored survives a kill, which Hocuspocus does not keep", async (t) => {
  assert.equal(await textAfterKill(t, ours), "reported as stored");
  assert.equal(await textAfterKill(t, theirs), "");
});

async function forge(t, server) {
  const name = newName();
  const victim = lib.openDocument(t, v4, openSocket(t, v4, server.url), name);
  const witness = lib.openDocument(t, v4, openSocket(t, v4, server.url), name);
  victim.setAwarenessField("user", { name: "victim" });
  await until(() => nameOf(witness, victim) === "victim");
  const forger = await openRaw(t, server.url);
  await lib.attachRaw(forger, name, "writer-too");
  const state = JSON.stringify({ user: { name: "forged" } });
  forger.sendTo(name, 1, lib.frame(1, victim.document.clientID, 1000, state));
  // The frames behind it have arrived when this has.
  forger.sendTo(name, 5, "all done");
  await until(() => witness.heard.stateless.includes("done"));
  return nameOf(witness, victim);
}

test("a client cannot change the presence of another, as one can in Hocuspocus", async (t) => {
  assert.equal(await forge(t, ours), "victim");
  assert.equal(await forge(t, theirs), "forged");
});

async function statusOfBroken(t, server) {
  const [name, raw] = [newName(), await openRaw(t, server.url)];
  await lib.attachRaw(raw, name);
  raw.sendTo(name, 0, 2, new Uint8Array([1, 1, 1]));
  await until(() => raw.hears(name, [8]) || raw.hears(name, [7]));
  return raw.hears(name, [8, 1]);
}

test("a broken update is not reported as stored, as it is by Hocuspocus", async (t) => {
  assert.equal(await statusOfBroken(t, ours), false);
  assert.equal(await statusOfBroken(t, theirs), true);
});

async function surviving(t, server) {
  const [name, raw] = [newName(), await openRaw(t, server.url)];
  await lib.attachRaw(raw, name);
  raw.send(new Uint8Array([10]));
  raw.sendTo(name, 5, "hello");
  await until(() => raw.closeCode || raw.hears(name, [5]));
  return raw.closeCode;
}

test("a client may answer a ping, which Hocuspocus takes for the end", async (t) => {
  assert.equal(await surviving(t, ours), undefined);
  assert.equal(await surviving(t, theirs), 4401);
});

async function answersQuery(t, server) {
  const name = newName();
  const other = lib.openDocument(t, v4, openSocket(t, v4, server.url), name);
  const raw = await openRaw(t, server.url);
  await lib.attachRaw(raw, name);
  other.setAwarenessField("user", { name: "other" });
  await until(() => raw.hears(name, [1]));
  raw.frames.length = 0;
  raw.sendTo(name, 3);
  raw.sendTo(name, 5, "hello");
  await until(() => raw.hears(name, [5]));
  return raw.hears(name, [1]);
}

test("a question for presence is answered, as it is not by Hocuspocus", async (t) => {
  assert.equal(await answersQuery(t, ours), true);
  assert.equal(await answersQuery(t, theirs), false);
});

test("a closed document can be opened again, which Hocuspocus closes at once", async (t) => {
  const socket = openSocket(t, v4, ours.url);
  const provider = lib.openDocument(t, v4, socket, newName());
  await until(() => isStored(provider));
  provider.sendStateless("close");
  await until(() => provider.heard.closes.length === 1);
  provider.detach();
  provider.attach();
  await until(() => isStored(provider));
  assert.deepEqual(provider.heard.closes, ["Lunch."]);
  assert.ok(provider.document instanceof Y.Doc);
});
