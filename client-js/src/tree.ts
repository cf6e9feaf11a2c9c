import { ObservableV2 } from "lib0/observable";
import type { Doc } from "yjs";

import type { CollabProvider } from "./provider.js";
import { rows, type Rows } from "./rows.js";

/** A field that has rows of another serializer in it. */
export interface Relation {
  /** The other serializer. */
  type: string;
  /** Whether it is a list. */
  many: boolean;
  /**
   * Of new rows: their field that says to which row they belong; `null` if all belong to the root row.
   */
  by?: string | null;
}

/** What a state consists of; made by `manage.py makefrontend`. */
export interface Shape {
  /** The serializer that the others are nested in. */
  root: string;
  /** Whether the state is a list. */
  many: boolean;
  /** By serializer and field. */
  relations: Readonly<Record<string, Readonly<Record<string, Relation>>>>;
}

export type Key = string | number;

type Row = Readonly<Record<string, unknown>>;

interface Node {
  row: Row;
  nested: Record<string, unknown>;
  value: Row;
}

export interface TreeEvents {
  /** Something in it is other than it was. */
  change: () => void;
}

/** The map that has the order of the root rows. */
const ROOT_ROWS = "collab.roots";

/**
 * The nested objects of a state, made of the flat rows that are in its document.
 *
 * An object is the same as long as nothing in it, or nested in it, has changed.
 */
export class Tree<S> extends ObservableV2<TreeEvents> {
  readonly #source: Doc | CollabProvider;
  readonly #shape: Shape;
  readonly #tables = new Map<string, Rows<Record<string, unknown>>>();
  readonly #nodes = new Map<string, Map<string, Node>>();
  /** Keys of rows that were made here and may not be in the lists of others yet. */
  readonly #fresh = new Map<string, Set<string>>();
  #top: { value: S | undefined } | undefined;
  #list: readonly unknown[] = [];
  #isOld = false;

  constructor(source: Doc | CollabProvider, shape: Shape) {
    super();
    this.#source = source;
    this.#shape = shape;
    for (const type of [ROOT_ROWS, ...Object.keys(shape.relations)]) this.#follow(type);
    this.#doc.on("afterTransaction", this.#afterTransaction);
  }

  /** All of it; undefined if there is nothing. */
  get state(): S | undefined {
    this.#top ??= { value: this.#build() };
    return this.#top.value;
  }

  /** One object in it. */
  instance(type: string, key: Key): unknown {
    return this.#object(type, this.table(type).key(String(key)));
  }

  /** The flat rows of a serializer. */
  table(type: string): Rows<Record<string, unknown>> {
    const table = this.#tables.get(type);
    if (table === undefined) throw new RangeError(`There is no ${type} in this state.`);
    return table;
  }

  /** Show a row that was made here with those that it belongs to, until `forget`. */
  expect(type: string, key: string): void {
    const keys = this.#fresh.get(type) ?? new Set();
    this.#fresh.set(type, keys.add(key));
    this.#tell();
  }

  forget(type: string, key: string): void {
    this.#fresh.get(type)?.delete(key);
    this.#tell();
  }

  override destroy(): void {
    this.#doc.off("afterTransaction", this.#afterTransaction);
    super.destroy();
  }

  get #doc(): Doc {
    return "doc" in this.#source ? this.#source.doc : this.#source;
  }

  #follow(type: string): void {
    const table = rows<Record<string, unknown>>(this.#source, type);
    this.#tables.set(type, table);
    table.on("change", ({ keys }) => {
      for (const key of keys) if (!table.get(key)) this.#nodes.get(type)?.delete(key);
      this.#isOld = true;
      this.#top = undefined;
    });
    table.on("created", () => this.#tell());
  }

  #afterTransaction = (): void => {
    if (this.#isOld) this.#tell();
  };

  #tell(): void {
    this.#isOld = false;
    this.#top = undefined;
    this.emit("change", []);
  }

  #build(): S | undefined {
    const { root, many } = this.#shape;
    if (!many) {
      const [key] = this.table(root).all().keys();
      return key === undefined ? undefined : (this.#object(root, key) as S);
    }
    const [order] = this.table(ROOT_ROWS).all().values();
    const keys = ((order?.["keys"] as Key[] | undefined) ?? []).map(String);
    this.#list = same(this.#list, this.#objects(root, [...keys, ...this.#freshKeys(root)]));
    return this.#list as S;
  }

  #object(type: string, key: string): Row | undefined {
    const row = this.table(type).get(key);
    const relations = Object.entries(this.#shape.relations[type] ?? {});
    if (row === undefined || relations.length === 0) return row;
    const nodes = this.#nodes.get(type) ?? new Map<string, Node>();
    this.#nodes.set(type, nodes);
    const node = nodes.get(key);
    const nested: Record<string, unknown> = {};
    for (const [field, relation] of relations) {
      nested[field] = this.#nested(row[field], relation, key, node?.nested[field]);
    }
    if (node?.row === row && relations.every(([field]) => node.nested[field] === nested[field])) {
      return node.value;
    }
    const value = { ...row, ...nested };
    nodes.set(key, { row, nested, value });
    return value;
  }

  #nested(value: unknown, relation: Relation, key: string, before: unknown): unknown {
    if (!relation.many) {
      const id = value as Key | null | undefined;
      return id == null ? null : (this.#object(relation.type, String(id)) ?? null);
    }
    // A row that was made here a moment ago has none yet.
    const there = (value as Key[] | undefined) ?? [];
    const keys = [...there.map(String), ...this.#freshKeys(relation.type, relation, key)];
    return same(before, this.#objects(relation.type, keys));
  }

  #objects(type: string, keys: string[]): Row[] {
    const objects = [...new Set(keys)].map((key) => this.#object(type, key));
    return objects.filter((object) => object !== undefined);
  }

  /** Rows made here that belong to a row, or to the list of root rows. */
  #freshKeys(type: string, relation?: Relation, parent?: string): string[] {
    const keys = [...(this.#fresh.get(type) ?? [])].map((key) => this.table(type).key(key));
    if (relation === undefined) return keys;
    const { by } = relation;
    if (by === undefined) return [];
    return keys.filter((key) => {
      const row = this.table(type).get(key);
      return by === null || String(row?.[by]) === parent;
    });
  }
}

/** `after`, or `before` if that has the same items. */
function same(before: unknown, after: unknown[]): readonly unknown[] {
  if (!Array.isArray(before) || before.length !== after.length) return after;
  return after.every((item, index) => item === before[index]) ? before : after;
}
