import assert from "node:assert/strict";
import { test } from "node:test";
import * as encoding from "lib0/encoding";
import * as Y from "yjs";

import { splitFrame, splitUpdate } from "../dist/split.js";
import { MessageType, SyncType } from "../dist/wire.js";

const SLACK = 100;

function typed(doc) {
  doc.getText("text");
  doc.getArray("list");
  doc.getMap("map");
  return doc;
}

/** Apply updates one by one; each has to be integrated at once. */
function applied(updates) {
  const doc = typed(new Y.Doc({ gc: false }));
  for (const update of updates) {
    Y.applyUpdate(doc, update);
    assert.equal(doc.store.pendingStructs, null);
    assert.equal(doc.store.pendingDs, null);
  }
  return doc;
}

function assertSplits(doc, limit) {
  const update = Y.encodeStateAsUpdate(doc);
  const parts = splitUpdate(update, limit);
  for (const part of parts) assert.ok(part.length <= limit + SLACK, `${part.length}`);
  const copy = applied(parts);
  const states = [copy, doc].map((one) => Y.decodeStateVector(Y.encodeStateVector(one)));
  assert.deepEqual(states[0], states[1]);
  assert.deepEqual(copy.toJSON(), typed(doc).toJSON());
  return parts;
}

/** Several clients that write into each other's texts, rows and lists. */
function written(random) {
  const docs = [1, 2, 3].map((clientID) => Object.assign(new Y.Doc({ gc: false }), { clientID }));
  for (let step = 0; step < 300; step += 1) {
    const doc = docs[Math.floor(random() * docs.length)];
    const text = doc.getText("text");
    const list = doc.getArray("list");
    const map = doc.getMap("map");
    const kind = random();
    if (kind < 0.5) text.insert(Math.floor(random() * text.length), "words and 😀 ");
    else if (kind < 0.6 && text.length > 20) text.delete(Math.floor(random() * (text.length - 9)), 9);
    else if (kind < 0.7) text.format(0, text.length, { bold: random() < 0.5 });
    else if (kind < 0.8) map.set(`k${Math.floor(random() * 9)}`, new Y.Map([["n", random()]]));
    else if (kind < 0.9) list.insert(0, [1, "two", { three: 3 }, new Y.Text("four")]);
    else for (const other of docs) Y.applyUpdate(other, Y.encodeStateAsUpdate(doc));
  }
  for (const doc of docs) Y.applyUpdate(docs[0], Y.encodeStateAsUpdate(doc));
  return docs[0];
}

/** Numbers from 0 to 1 that are the same each time. */
function numbers(seed) {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

for (let seed = 1; seed <= 20; seed += 1) {
  test(`parts of what several clients wrote are integrated one by one (${seed})`, () => {
    const doc = written(numbers(seed));
    assert.ok(assertSplits(doc, 200).length > 10);
    assertSplits(doc, 1000);
  });
}

test("one long text is split, and no character in it", () => {
  for (const prefix of ["", "x"]) {
    const doc = new Y.Doc();
    doc.getText("text").insert(0, prefix + "😀".repeat(5000));
    assert.ok(assertSplits(doc, 1000).length > 15);
  }
});

test("a list that was inserted at once is split", () => {
  const doc = new Y.Doc();
  doc.getArray("list").insert(0, Array.from({ length: 5000 }, (_, index) => index));
  assert.ok(assertSplits(doc, 1000).length > 5);
});

test("one value stays in one part", () => {
  const doc = new Y.Doc();
  doc.getMap("map").set("file", new Uint8Array(5000));
  doc.getMap("map").set("name", "file");
  const sizes = splitUpdate(Y.encodeStateAsUpdate(doc), 1000).map((part) => part.length);
  assert.equal(sizes.filter((size) => size > 5000).length, 1);
  assert.equal(sizes.length, 2);
});

test("many deletions are split", () => {
  const doc = new Y.Doc();
  const text = doc.getText("text");
  text.insert(0, "ab".repeat(2000));
  doc.transact(() => {
    for (let index = 1999; index >= 0; index -= 1) text.delete(2 * index, 1);
  });
  assert.ok(assertSplits(doc, 1000).length > 10);
});

test("structs that refer to each other in a circle are sent all the same", () => {
  const encoder = new Y.UpdateEncoderV1();
  encoding.writeVarUint(encoder.restEncoder, 2);
  for (const [client, other] of [
    [2, 1],
    [1, 2],
  ]) {
    for (const number of [1, client, 0]) encoding.writeVarUint(encoder.restEncoder, number);
    const origin = Y.createID(other, 0);
    const content = new Y.ContentString("a");
    new Y.Item(Y.createID(client, 0), null, origin, null, null, null, null, content).write(encoder, 0);
  }
  encoding.writeVarUint(encoder.restEncoder, 0);
  const [part, ...others] = splitUpdate(encoder.toUint8Array(), 1000);
  assert.deepEqual(others, []);
  assert.equal(Y.decodeUpdate(part).structs.length, 2);
});

function syncFrame(kind, payload) {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, MessageType.SYNC);
  encoding.writeVarUint(encoder, kind);
  encoding.writeVarUint8Array(encoder, payload);
  return encoding.toUint8Array(encoder);
}

test("a frame is split into updates, of which the last is of its kind", () => {
  const doc = new Y.Doc();
  doc.getText("text").insert(0, "x".repeat(5000));
  const frame = syncFrame(SyncType.STEP2, Y.encodeStateAsUpdate(doc));
  const kinds = splitFrame(frame, 1000).map((part) => part[1]);
  assert.equal(kinds.pop(), SyncType.STEP2);
  assert.ok(kinds.length > 4 && kinds.every((kind) => kind === SyncType.UPDATE));
});

test("frames that are small enough or have no update are left alone", () => {
  for (const frame of [
    syncFrame(SyncType.STEP2, new Uint8Array(10)),
    syncFrame(SyncType.STEP1, new Uint8Array(5000)),
    new Uint8Array([MessageType.AWARENESS, ...new Uint8Array(5000)]),
  ]) {
    assert.deepEqual(splitFrame(frame, 1000), [frame]);
  }
});
