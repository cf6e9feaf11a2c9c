// Documents that nobody would write by hand, the same ones in every run.

const LETTERS = ["a", "word", "é", "ü̈", "👩‍👩‍👧", "🇦🇹", "שלום", "مرحبا", "漢字", " ", " ", "  ", "<b>", "&amp;", "\"", "'", "*", "_", "`", "|", "#", "1.", "-", "\\", "[x]", "$", "~"];

/** A generator of numbers that begins at a seed. */
export class Random {
  constructor(seed) {
    this.state = seed >>> 0;
  }

  next() {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let value = this.state;
    value = Math.imul(value ^ (value >>> 15), value | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32;
  }

  below(limit) {
    return Math.floor(this.next() * limit);
  }

  pick(list) {
    return list[this.below(list.length)];
  }

  text(words = 6) {
    let text = "";
    for (let count = 1 + this.below(words); count > 0; count -= 1) text += this.pick(LETTERS);
    return text;
  }
}

/** A random document that fits a ProseMirror schema. */
export class Writer {
  constructor(random, schema, attributes = {}, skipped = []) {
    this.random = random;
    this.schema = schema;
    this.attributes = attributes;
    this.skipped = new Set(skipped);
  }

  document() {
    return this.node(this.schema.topNodeType, 0);
  }

  node(type, depth) {
    if (type.isText) return this.schema.text(this.random.text(), this.marks());
    return type.createChecked(this.attributesOf(type), this.children(type, depth));
  }

  children(type, depth) {
    const nodes = [];
    let match = type.contentMatch;
    const wanted = type.isTextblock ? this.random.below(5) : 1 + this.random.below(depth > 3 ? 1 : 4);
    for (;;) {
      const edges = [];
      for (let index = 0; index < match.edgeCount; index += 1) {
        const edge = match.edge(index);
        if (!this.skipped.has(edge.type.name)) edges.push(edge);
      }
      if (!edges.length || (match.validEnd && nodes.length >= wanted)) break;
      const flat = edges.filter((edge) => depth < 4 || edge.type.isTextblock || edge.type.isInline);
      const edge = this.random.pick(flat.length ? flat : edges);
      const made = this.node(edge.type, depth + 1);
      nodes.push(type.inlineContent ? made.mark(type.allowedMarks(made.isText ? made.marks : this.marks())) : made);
      match = edge.next;
    }
    return nodes;
  }

  attributesOf(type) {
    const values = {};
    for (const name of Object.keys(type.spec.attrs ?? {})) {
      const choices = this.attributes[`${type.name}.${name}`] ?? this.attributes[name];
      if (choices && (name === "id" || this.random.below(2) || type.spec.attrs[name].default === undefined)) {
        values[name] = typeof choices === "function" ? choices(this.random) : this.random.pick(choices);
      }
    }
    return values;
  }

  marks() {
    let marks = [];
    for (const type of Object.values(this.schema.marks)) {
      if (!this.skipped.has(type.name) && this.random.below(5) === 0) {
        marks = type.create(this.attributesOf(type)).addToSet(marks);
      }
    }
    return marks;
  }
}

/** The same JSON with a word in the place of each text, which means nothing in Markdown. */
export function inWords(json) {
  let count = 0;
  const letter = (number) => String.fromCharCode(97 + (number % 26));
  const word = () => `w${letter((count += 1))}${letter(Math.floor(count / 26))}`;
  const replaced = (value) => {
    if (Array.isArray(value)) return value.map(replaced);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, key === "text" ? word() : replaced(item)]));
  };
  return replaced(json);
}

/** A document with a few edits that a person could have made. */
export function edited(random, schema, doc, writer, Transform) {
  const change = new Transform(doc);
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    try {
      edit(random, schema, change, writer);
    } catch (error) {
      // The edit does not fit there; a person could not have made it.
      if (!(error instanceof RangeError) && error.name !== "TransformError" && error.name !== "ReplaceError") throw error;
    }
  }
  return change.doc;
}

function edit(random, schema, change, writer) {
  const blocks = [];
  change.doc.descendants((node, position) => {
    if (node.isTextblock) blocks.push([node, position + 1]);
  });
  if (!blocks.length) return;
  const [block, start] = random.pick(blocks);
  const from = start + random.below(block.content.size + 1);
  const to = from + random.below(start + block.content.size - from + 1);
  const mark = random.pick(writer.marks());
  switch (random.below(6)) {
    case 0:
      change.insert(from, schema.text(random.text()));
      break;
    case 1:
      change.delete(from, to);
      break;
    case 2:
      if (mark) change.addMark(from, to, mark);
      break;
    case 3:
      if (mark) change.removeMark(from, to, mark.type);
      break;
    case 4:
      change.split(from);
      break;
    default:
      change.replaceWith(start - 1, start - 1, writer.node(block.type, 5));
  }
}
