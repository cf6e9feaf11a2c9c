import assert from "node:assert/strict";
import { test } from "node:test";

import { Ledger } from "../dist/ledger.js";

const STEP1 = Uint8Array.of(0, 0, 1, 0);
const STEP2 = Uint8Array.of(0, 1, 2, 0, 0);
const UPDATE = Uint8Array.of(0, 2, 2, 0, 0);
const AWARENESS = Uint8Array.of(1, 1, 0);

test("an update is unsaved until its frame is confirmed", () => {
  const ledger = new Ledger();
  ledger.send(UPDATE);
  ledger.send(UPDATE);
  ledger.confirm(1);
  assert.equal(ledger.unsaved, 1);
  ledger.confirm(2);
  assert.equal(ledger.unsaved, 0);
});

test("frames that carry no update are not counted", () => {
  const ledger = new Ledger();
  ledger.send(STEP1);
  ledger.send(AWARENESS);
  assert.equal(ledger.sent, 0);
  ledger.send(STEP2);
  assert.equal(ledger.sent, 1);
  assert.equal(ledger.unsaved, 0);
});

test("updates made offline are saved with the step 2 that carries them", () => {
  const ledger = new Ledger();
  ledger.keep();
  ledger.keep();
  ledger.send(STEP2);
  ledger.send(UPDATE);
  assert.equal(ledger.unsaved, 3);
  ledger.confirm(1);
  assert.equal(ledger.unsaved, 1);
});

test("what a connection took along when it ended counts as unsent again", () => {
  const ledger = new Ledger();
  ledger.send(UPDATE);
  ledger.send(UPDATE);
  ledger.confirm(1);
  ledger.reset();
  assert.deepEqual([ledger.unsaved, ledger.sent, ledger.saved], [1, 0, 0]);
  ledger.send(STEP2);
  ledger.confirm(1);
  assert.equal(ledger.unsaved, 0);
});

test("what was refused is saved with the step 2 that follows", () => {
  const ledger = new Ledger();
  ledger.send(STEP2);
  ledger.confirm(1);
  ledger.send(UPDATE);
  ledger.retry();
  ledger.send(STEP2);
  assert.equal(ledger.unsaved, 1);
  ledger.confirm(3);
  assert.equal(ledger.unsaved, 0);
});
