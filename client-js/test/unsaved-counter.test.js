import assert from "node:assert/strict";
import { test } from "node:test";

import { UnsavedCounter } from "../dist/unsaved-counter.js";

const STEP1 = Uint8Array.of(0, 0, 1, 0);
const STEP2 = Uint8Array.of(0, 1, 2, 0, 0);
const UPDATE = Uint8Array.of(0, 2, 2, 0, 0);
const AWARENESS = Uint8Array.of(1, 1, 0);

test("an update is unsaved until its frame is confirmed", () => {
  const counter = new UnsavedCounter();
  counter.send(UPDATE);
  counter.send(UPDATE);
  counter.confirm(1);
  assert.equal(counter.unsaved, 1);
  counter.confirm(2);
  assert.equal(counter.unsaved, 0);
});

test("frames that carry no update are not counted", () => {
  const counter = new UnsavedCounter();
  counter.send(STEP1);
  counter.send(AWARENESS);
  assert.equal(counter.sent, 0);
  counter.send(STEP2);
  assert.equal(counter.sent, 1);
  assert.equal(counter.unsaved, 0);
});

test("updates made offline are saved with the step 2 that carries them", () => {
  const counter = new UnsavedCounter();
  counter.keep();
  counter.keep();
  counter.send(STEP2);
  counter.send(UPDATE);
  assert.equal(counter.unsaved, 3);
  counter.confirm(1);
  assert.equal(counter.unsaved, 1);
});

test("updates that a connection lost when it ended count as unsent again", () => {
  const counter = new UnsavedCounter();
  counter.send(UPDATE);
  counter.send(UPDATE);
  counter.confirm(1);
  counter.reset();
  assert.deepEqual([counter.unsaved, counter.sent, counter.saved], [1, 0, 0]);
  counter.send(STEP2);
  counter.confirm(1);
  assert.equal(counter.unsaved, 0);
});

test("refused updates are saved with the step 2 that follows", () => {
  const counter = new UnsavedCounter();
  counter.send(STEP2);
  counter.confirm(1);
  counter.send(UPDATE);
  counter.retry();
  counter.send(STEP2);
  assert.equal(counter.unsaved, 1);
  counter.confirm(3);
  assert.equal(counter.unsaved, 0);
});

test("an update in several frames is saved with the last of them", () => {
  const counter = new UnsavedCounter();
  counter.keep();
  counter.send(UPDATE, false);
  counter.send(UPDATE, false);
  counter.send(STEP2);
  assert.deepEqual([counter.unsaved, counter.sent], [1, 3]);
  counter.confirm(2);
  assert.equal(counter.unsaved, 1);
  counter.confirm(3);
  assert.equal(counter.unsaved, 0);
});
