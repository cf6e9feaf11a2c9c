// Random changes of Yjs clients, also inside surrogate pairs, and comparisons of what they have.
import * as Y from "yjs";

// The same numbers for the same seed.
export function generator(seed) {
  let state = Math.imul(seed + 1, 2654435761) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

// At once: Yjs removes formats behind a remote change, which nobody else gets.
export function read(...updates) {
  const doc = new Y.Doc();
  doc.transact(() => updates.forEach((update) => Y.applyUpdate(doc, update)));
  return contentOf(doc);
}

export class Editor {
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
export function isBrokenOnly(client, truth) {
  if (client.length !== truth.length) return false;
  return client.split("").every((unit, at) => unit === truth[at] || unit === "\ufffd");
}

// The same content, its texts in one piece each.
export function withoutFormats(content) {
  const joined = (value) => {
    if (!Array.isArray(value)) return value;
    return value.map(joined).reduce((before, item) => {
      const text = typeof item?.insert === "string" ? item.insert : undefined;
      if (text === undefined) return [...before, item?.insert ? { insert: item.insert } : item];
      const last = before.at(-1);
      if (typeof last?.insert !== "string") return [...before, { insert: text }];
      return [...before.slice(0, -1), { insert: last.insert + text }];
    }, []);
  };
  return JSON.stringify(joined(JSON.parse(content)));
}

export function contentOf(doc) {
  const delta = doc.getText("t").toDelta();
  const rest = [doc.getMap("m").toJSON(), doc.getArray("a").toJSON()];
  const all = JSON.stringify(sorted([content(doc.getXmlFragment("x")), delta, ...rest]));
  return doc.store.pendingStructs ? `${all} pending` : all;
}
