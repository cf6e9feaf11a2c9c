// Random histories of Yjs clients of a room: at the end the room must have what a Yjs document has
// that received the same updates, and so must the clients, but for pairs that they broke alone: Yjs
// cuts text, and breaks a pair, also for a format that changes nothing, which nobody else gets.
// node differential.js FROM TO SECONDS PYTHON MODULE: the seeds of histories, and the room.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import * as Y from "yjs";

import { contentOf, Editor, generator, isBrokenOnly, read } from "./random-changes.js";

const [from, to, seconds] = process.argv.slice(2, 5).map(Number);
const [python, module] = process.argv.slice(5);
const room = spawn(python, ["-m", module], { stdio: ["pipe", "pipe", "inherit"] });
const answers = createInterface({ input: room.stdout })[Symbol.asyncIterator]();

async function ask(command, data = new Uint8Array()) {
  room.stdin.write(`${command} ${Buffer.from(data).toString("base64")}\n`);
  const answer = (await answers.next()).value;
  if (answer.startsWith("ERR")) throw new Error(answer);
  return new Uint8Array(Buffer.from(answer, "base64"));
}

class Client extends Editor {
  async send(sent) {
    const unsent = this.unsent.splice(0);
    let updates = unsent;
    if (this.random() < 0.5) {
      const isMerged = this.random() < 0.5 && unsent.length;
      const whole = () => ask("v").then((state) => Y.encodeStateAsUpdate(this.doc, state));
      updates = [isMerged ? Y.mergeUpdates(unsent) : await whole()];
    }
    for (const update of updates) {
      await ask("a", update);
      sent.push(update);
    }
  }

  async receive() {
    const update = await ask("e", Y.encodeStateVector(this.doc));
    Y.applyUpdate(this.doc, update, "server");
  }
}

async function history(seed) {
  const random = generator(seed);
  await ask("n");
  const number = 2 + Math.floor(random() * 3);
  const clients = [];
  const sent = [];
  for (let id = 0; id < number; id++) clients.push(new Client(10 * (seed + 1) + id, random));
  const steps = 15 + Math.floor(random() * 80);
  for (let step = 0; step < steps; step++) {
    const client = clients[Math.floor(random() * number)];
    const chance = random();
    if (chance < 0.6) client.change();
    else if (chance < 0.78) await client.send(sent);
    else if (chance < 0.94) await client.receive();
    else await ask(["s", "r", "c"][Math.floor(random() * 3)]);
  }
  for (const client of clients) await client.send(sent);
  for (const client of clients) await client.receive();
  const expected = read(...sent);
  const found = clients.map(({ doc }) => contentOf(doc)).filter((one) => !isBrokenOnly(one, expected));
  for (const prepare of ["", "s", "r", "c", "r"]) {
    if (prepare) await ask(prepare);
    for (const command of ["e", "d"]) {
      found.push(read(await ask(command)));
    }
  }
  return [expected, ...found];
}

const began = Date.now();
let done = 0;
let bad = 0;
for (let seed = from; seed < to && Date.now() - began < seconds * 1000; seed++) {
  done += 1;
  let problem = "";
  try {
    const found = await history(seed);
    if (new Set(found).size > 1) problem = found.map((one) => (one === found[0] ? "=" : one)).join("\n");
  } catch (error) {
    problem = error.stack;
  }
  if (problem) {
    bad += 1;
    console.log(`seed ${seed}: ${problem.slice(0, 4000)}`);
  }
}
console.log(JSON.stringify({ done, bad }));
room.stdin.end();
process.exitCode = bad ? 1 : 0;
