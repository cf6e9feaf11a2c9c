// Random histories of Yjs clients of two servers that share a channel layer and a database: a client
// that opens the document at either, then and later, must have the content of a Yjs document that
// received the same updates.
// node two-processes.js write FILE SERVERS FROM TO SECONDS: run histories, and record them in FILE.
// node two-processes.js check FILE SERVERS: compare the servers' documents of now, and FILE.reads.
import { readFileSync, writeFileSync } from "node:fs";

import * as decoding from "lib0/decoding";
import * as encoding from "lib0/encoding";
import WebSocket from "ws";
import * as sync from "y-protocols/sync";
import * as Y from "yjs";

import { contentOf, Editor, generator, isBrokenOnly, read, withoutFormats } from "./random-changes.js";

const [mode, file, urls, ...range] = process.argv.slice(2);
const servers = urls.split(",");
// Long enough for a machine that others use; equality is found as soon as it is there.
const DEADLINE = 60_000;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function frame(write) {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, 0);
  write(encoder);
  return encoding.toUint8Array(encoder);
}

async function open(server, room) {
  const socket = new WebSocket(`${server}/${room}`, { perMessageDeflate: false });
  socket.binaryType = "arraybuffer";
  await new Promise((resolve, reject) => {
    socket.once("open", resolve);
    socket.once("error", reject);
  });
  return socket;
}

async function close(socket) {
  const closed = new Promise((resolve) => socket.once("close", resolve));
  socket.close();
  await closed;
}

// Returns the document as a newcomer receives it.
async function fetchFrom(server, room) {
  const socket = await open(server, room);
  const answer = new Promise((resolve, reject) => {
    socket.on("message", (data) => {
      const decoder = decoding.createDecoder(new Uint8Array(data));
      if (decoding.readVarUint(decoder) !== 0) return;
      if (decoding.readVarUint(decoder) === sync.messageYjsSyncStep2) {
        resolve(decoding.readVarUint8Array(decoder));
      }
    });
    socket.once("close", (code) => reject(new Error(`closed with ${code}`)));
  });
  socket.send(frame((encoder) => sync.writeSyncStep1(encoder, new Y.Doc())));
  const update = await answer;
  await close(socket);
  return update;
}

class Client extends Editor {
  async connect(server, room) {
    this.waiting = [];
    this.socket = await open(server, room);
    this.socket.on("message", (data) => this.waiting.push(new Uint8Array(data)));
    this.socket.on("close", (code) => (this.code = code));
    this.socket.send(frame((encoder) => sync.writeSyncStep1(encoder, this.doc)));
  }

  send(sent) {
    let updates = this.unsent.splice(0);
    if (updates.length && this.random() < 0.3) updates = [Y.mergeUpdates(updates)];
    for (const update of updates) {
      this.socket.send(frame((encoder) => sync.writeUpdate(encoder, update)));
      sent.push(update);
    }
  }

  // In any order with what it changes itself, as networks are slow.
  receive(sent) {
    for (const message of this.waiting.splice(0)) {
      const decoder = decoding.createDecoder(message);
      if (decoding.readVarUint(decoder) !== 0) continue;
      const reply = frame((encoder) => sync.readSyncMessage(decoder, encoder, this.doc, "server"));
      if (reply.length === 1) continue;
      this.socket.send(reply);
      // Its letters may be broken by an edit that changed nothing else, of which there is no update.
      sent.push(updateOf(reply));
    }
  }

  // Whether it has received everything, and shows it. Yjs breaks letters, and removes formats behind
  // a remote change, in one client only.
  hasAll(sent, expected) {
    if (this.doc.store.pendingStructs) return false;
    const has = Y.snapshot(this.doc);
    const [found, wanted] = [contentOf(this.doc), expected].map(withoutFormats);
    return isBrokenOnly(found, wanted) && sent.every((update) => Y.snapshotContainsUpdate(has, update));
  }
}

function updateOf(syncStep2) {
  const decoder = decoding.createDecoder(syncStep2);
  decoding.readVarUint(decoder);
  decoding.readVarUint(decoder);
  return decoding.readVarUint8Array(decoder);
}

// Ask until the answer is as expected; return the last one.
async function settled(expected, ask) {
  const end = Date.now() + DEADLINE;
  for (;;) {
    const found = await ask();
    if (found === expected || Date.now() > end) return found;
    await pause(20);
  }
}

async function history(seed) {
  const random = generator(seed);
  const room = `history-${seed}`;
  const clients = [];
  const sent = [];
  for (let id = 0; id < 2 + Math.floor(random() * 3); id++) {
    const client = new Client(10 * (seed + 1) + id, random);
    await client.connect(servers[id % servers.length], room);
    clients.push(client);
  }
  for (let step = 0; step < 60; step++) {
    const client = clients[Math.floor(random() * clients.length)];
    const chance = random();
    if (chance < 0.6) client.change();
    else if (chance < 0.8) client.send(sent);
    else if (chance < 0.95) client.receive(sent);
    // The relay catches up in between, or not: either is a case of this test.
    else await pause(20 * random());
  }
  for (const client of clients) client.send(sent);
  const expected = read(...sent);
  const problems = [];
  for (const client of clients) {
    const has = async () => {
      client.receive([]);
      return client.hasAll(sent, expected) ? expected : contentOf(client.doc);
    };
    const found = await settled(expected, has);
    if (found !== expected) problems.push(`a client (${client.code}) has ${found}`);
  }
  for (const server of servers) problems.push(...(await compared(server, room, expected)));
  await Promise.all(clients.map(({ socket, code }) => code === undefined && close(socket)));
  return { room, expected, problems };
}

async function compared(server, room, expected) {
  const found = await settled(expected, async () => read(await fetchFrom(server, room)));
  return found === expected ? [] : [`a newcomer at ${server} has ${found}`];
}

async function write(from, to, seconds) {
  const end = Date.now() + seconds * 1000;
  const histories = [];
  let seed = from;
  const work = async () => {
    while (seed < to && Date.now() < end) histories.push(await history(seed++));
  };
  await Promise.all(Array.from({ length: 4 }, work));
  return histories;
}

async function check({ histories, reads }) {
  for (const { room, expected, problems } of histories) {
    for (const server of servers) problems.push(...(await compared(server, room, expected)));
    const stored = read(Buffer.from(reads[room], "base64"));
    if (stored !== expected) problems.push(`documents.read() has ${stored}`);
  }
  return histories;
}

const histories =
  mode === "write" ? await write(...range.map(Number)) : await check(JSON.parse(readFileSync(file)));
let bad = 0;
for (const { room, expected, problems } of histories) {
  bad += problems.length > 0;
  for (const problem of problems) console.log(`${room}: ${problem}\n${expected}`.slice(0, 4000));
}
writeFileSync(file, JSON.stringify({ histories }));
console.log(JSON.stringify({ done: histories.length, bad }));
process.exitCode = bad ? 1 : 0;
