// Random histories of Yjs clients of a room: at the end the room must have what a Yjs document has
// that received the same updates, and so must the clients, but for pairs that they broke alone: Yjs
// cuts text, and breaks a pair, also for a format that changes nothing, which nobody else gets.
// node differential.js FROM TO SECONDS PYTHON MODULE: the seeds of histories, and the room.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

import * as Y from "yjs";

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

// The same numbers for the same seed.
function generator(seed) {
  let state = Math.imul(seed + 1, 2654435761) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

// At once: Yjs removes formats behind a remote change, which nobody else gets.
function read(...updates) {
  const doc = new Y.Doc();
  doc.transact(() => updates.forEach((update) => Y.applyUpdate(doc, update)));
  return contentOf(doc);
}

class Client {
  constructor(id, random) {
    this.random = random;
    this.doc = new Y.Doc({ gc: random() < 0.8 });
    this.doc.clientID = id;
    this.unsent = [];
    this.doc.on("update", (update, origin) => {
      if (origin !== "server") this.unsent.push(update);
    });
    const types = [this.xml, this.text, this.map, this.array];
    this.undo = new Y.UndoManager(types, { captureTimeout: 0 });
  }

  get xml() {
    return this.doc.getXmlFragment("x");
  }

  get text() {
    return this.doc.getText("t");
  }

  get map() {
    return this.doc.getMap("m");
  }

  get array() {
    return this.doc.getArray("a");
  }

  below(limit) {
    return Math.floor(this.random() * limit);
  }

  pick(choices) {
    return choices[this.below(choices.length)];
  }

  change() {
    const actions = ["element", "remove", "attribute", "texts", "texts", "texts", "texts", "key"];
    this[this.pick([...actions, "item", "history", "embed"])]();
  }

  elements() {
    const found = [];
    const visit = (type) => {
      found.push(type);
      for (const child of type.toArray()) if (child instanceof Y.XmlElement) visit(child);
    };
    visit(this.xml);
    return found;
  }

  element() {
    const parent = this.pick(this.elements());
    const element = new Y.XmlElement(this.pick(["p", "a", "b"]));
    if (this.random() < 0.5) element.insert(0, [new Y.XmlText(`t😀${this.below(9)}`)]);
    parent.insert(this.below(parent.length + 1), [element]);
  }

  remove() {
    const parent = this.pick(this.elements());
    if (!parent.length) return;
    const at = this.below(parent.length);
    parent.delete(at, 1 + this.below(Math.min(3, parent.length - at)));
  }

  attribute() {
    const element = this.pick(this.elements());
    if (!(element instanceof Y.XmlElement)) return;
    const name = this.pick(["u", "v"]);
    if (this.random() < 0.7) element.setAttribute(name, `${this.below(5)}`);
    else element.removeAttribute(name);
  }

  // Any of it may fall between the halves of a pair.
  texts() {
    const within = this.elements().flatMap((type) => type.toArray());
    const inXml = within.filter((child) => child instanceof Y.XmlText);
    const text = this.random() < 0.3 && inXml.length ? this.pick(inXml) : this.text;
    const chance = this.random();
    if (chance < 0.6 || text.length < 3) {
      const letters = this.pick(["ab", "😀", "😀😀a", "é", "x𝄞z", "\n", "\u{10ffff}"]);
      const format = this.random() < 0.3 ? { b: this.pick([true, 1, "k"]) } : undefined;
      text.insert(this.below(text.length + 1), letters, format);
    } else if (chance < 0.8) {
      text.delete(this.below(text.length - 2), 1 + this.below(3));
    } else {
      text.format(this.below(text.length - 1), 1, { b: this.pick([null, true]) });
    }
  }

  key() {
    const key = this.pick(["k", "l"]);
    const values = [1, "s😀", null, { a: [1.5] }, new Y.Text("in😀"), new Y.Map([["z", 1]])];
    if (this.random() < 0.7) this.map.set(key, this.pick(values));
    else this.map.delete(key);
  }

  item() {
    const { array } = this;
    if (this.random() < 0.6 || !array.length) {
      array.insert(this.below(array.length + 1), [this.pick([1, "two", null, { o: "😀" }])]);
    } else {
      array.delete(this.below(array.length), 1);
    }
  }

  history() {
    if (this.random() < 0.7) this.undo.undo();
    else this.undo.redo();
  }

  embed() {
    this.text.insertEmbed(this.below(this.text.length + 1), { image: `i${this.below(4)}` });
  }

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

// Whatever the order of a map's keys.
function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

function content(type) {
  if (type instanceof Y.XmlText) return type.toDelta();
  const children = type.toArray().map(content);
  if (!(type instanceof Y.XmlElement)) return children;
  return [type.nodeName, type.getAttributes(), children];
}

// Of a pair, each half is one unit, as is U+FFFD.
function isBrokenOnly(client, truth) {
  if (client.length !== truth.length) return false;
  return client.split("").every((unit, at) => unit === truth[at] || unit === "\ufffd");
}

function contentOf(doc) {
  const delta = doc.getText("t").toDelta();
  const rest = [doc.getMap("m").toJSON(), doc.getArray("a").toJSON()];
  const all = JSON.stringify(sorted([content(doc.getXmlFragment("x")), delta, ...rest]));
  return doc.store.pendingStructs ? `${all} pending` : all;
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
