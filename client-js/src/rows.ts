import { equalityDeep } from "lib0/function";
import { ObservableV2 } from "lib0/observable";
import { Map as YMap, Text, type Doc, type YEvent } from "yjs";

import type { CollabProvider } from "./provider.js";
import { editText } from "./text.js";
import type { Created, Refusal, Untold } from "./wire.js";

type Key<T> = keyof T & string;
type SharedRow = YMap<unknown>;
type Event = YEvent<SharedRow>;

/** Values of some of a row's fields. */
export type Values<T> = { [F in Key<T>]?: T[F] | (T[F] extends string ? Text : never) };

/** Which rows are other than they were, or have another error. */
export interface RowsChange {
  keys: ReadonlySet<string>;
  /** Whether it was done here: not by somebody else, and not by the server. */
  local: boolean;
}

export interface RowsEvents {
  /** Rows have changed, or the errors of rows; see `subscribe`. */
  change: (change: RowsChange) => void;
  /** The server did not take a change that was made here. */
  refused: (refusal: Refusal) => void;
  /** The server did not take more changes than it tells one by one, in this map or others. */
  untold: (untold: Untold) => void;
  /** A row that was made here is in the database, under another key. */
  created: (created: Created) => void;
}

/** The rows of a Django model in a document; made by `rows`. */
export class Rows<T extends object> extends ObservableV2<RowsEvents> {
  readonly doc: Doc;
  /** Of the map: the `map_name` of the mirror. */
  readonly name: string;
  readonly #map: YMap<SharedRow>;
  /** Plain copies, made when somebody asks; a row that has not changed keeps its own. */
  readonly #copies = new Map<string, Readonly<T>>();
  #all: ReadonlyMap<string, Readonly<T>> | undefined;
  #errors: ReadonlyMap<string, Refusal> = new Map();
  /** The keys of rows made here, by those that they were made with. */
  readonly #renamed = new Map<string, string>();

  constructor(source: Doc | CollabProvider, name: string) {
    super();
    const provider = "doc" in source ? source : undefined;
    this.doc = provider?.doc ?? (source as Doc);
    this.name = name;
    this.#map = this.doc.getMap(name);
    this.#map.observeDeep((events: Event[], { local }) => this.#observe(events, local));
    provider?.on("row", (refusal) => {
      if (refusal.map === name) this.#refuse(refusal);
    });
    provider?.on("rows", (untold) => {
      this.emit("untold", [untold]);
    });
    provider?.on("row_created", (created) => {
      if (created.map === name) this.#rename(created);
    });
  }

  /**
   * A plain copy of a row; the same one as long as the row does not change.
   *
   * A row that was made here has at first what it was made with, and all fields when it is stored.
   */
  get(key: string): Readonly<T> | undefined {
    const current = this.key(key);
    const shared = this.#shared(current);
    if (shared === undefined) return undefined;
    let copy = this.#copies.get(current);
    if (copy === undefined) this.#copies.set(current, (copy = shared.toJSON() as T));
    return copy;
  }

  /** Plain copies of all rows by key, in no order; the same Map as long as no row changes. */
  all(): ReadonlyMap<string, Readonly<T>> {
    this.#all ??= new Map([...this.#map.keys()].flatMap((key) => this.#entry(key)));
    return this.#all;
  }

  #entry(key: string): [string, Readonly<T>][] {
    const row = this.get(key);
    return row === undefined ? [] : [[key, row]];
  }

  /** The key of a row now: one that was made here may have got another from the database. */
  key(key: string): string {
    return this.#renamed.get(key) ?? key;
  }

  /**
   * Change fields of a row, in one transaction. What is equal already is left alone, and of a
   * shared text only the part is replaced that differs.
   *
   * Returns false if there is no such row any more.
   */
  set(key: string, values: Values<T>): boolean {
    const row = this.#shared(this.key(key));
    if (row === undefined) return false;
    this.doc.transact(() => {
      for (const [field, value] of Object.entries(values)) write(row, field, value);
    });
    return true;
  }

  /**
   * Make a row; `values` may have a `Text` for fields that are edited together.
   *
   * Returns its key: its primary key if that is a UUID. Else the database gives it another one,
   * of which the event `created` tells, and the first goes on to lead to the row here.
   */
  create(values: Values<T>, key: string = crypto.randomUUID()): string {
    this.#map.set(key, new YMap(Object.entries(values)));
    return key;
  }

  /** Delete a row. Returns false if there is no such row any more. */
  delete(key: string): boolean {
    const current = this.key(key);
    const exists = this.#map.has(current);
    if (exists) this.#map.delete(current);
    return exists;
  }

  /** The shared text that a field is, to bind an editor to; undefined if it is a plain value. */
  text(key: string, field: Key<T>): Text | undefined {
    const value = this.#shared(this.key(key))?.get(field);
    return value instanceof Text ? value : undefined;
  }

  /** What the server refused of each row last, until the row is changed here again. */
  get errors(): ReadonlyMap<string, Refusal> {
    return this.#errors;
  }

  /** What the server refused of a row last. */
  error(key: string): Refusal | undefined {
    return this.#errors.get(this.key(key));
  }

  /** Forget what the server refused of a row. */
  dismiss(key: string): void {
    const keys = new Set([this.key(key)]);
    if (this.#forget(keys)) this.#tell(keys, true);
  }

  /**
   * Have `listener` called after each change of rows, or of one row if `key` is given.
   *
   * Returns what ends it.
   */
  subscribe(listener: (change: RowsChange) => void, key?: string): () => void {
    const concerned = (change: RowsChange): void => {
      if (key === undefined || change.keys.has(this.key(key))) listener(change);
    };
    this.on("change", concerned);
    return () => this.off("change", concerned);
  }

  #shared(key: string): SharedRow | undefined {
    const row: unknown = this.#map.get(key);
    return row instanceof YMap ? row : undefined;
  }

  #observe(events: Event[], local: boolean): void {
    const keys = new Set(events.flatMap((event) => this.#changed(event)));
    for (const key of keys) this.#copies.delete(key);
    this.#all = undefined;
    if (local) this.#forget(keys);
    this.#tell(keys, local);
  }

  #changed(event: Event): string[] {
    const [key] = event.path;
    return key === undefined ? [...event.changes.keys.keys()] : [String(key)];
  }

  #refuse(refusal: Refusal): void {
    const key = this.key(refusal.key);
    this.#errors = new Map(this.#errors).set(key, refusal);
    this.emit("refused", [refusal]);
    this.#tell(new Set([key]), false);
  }

  #forget(keys: ReadonlySet<string>): boolean {
    if (![...keys].some((key) => this.#errors.has(key))) return false;
    this.#errors = new Map([...this.#errors].filter(([key]) => !keys.has(key)));
    return true;
  }

  #rename(created: Created): void {
    if (created.key !== created.newKey) this.#renamed.set(created.key, created.newKey);
    this.emit("created", [created]);
    this.#tell(new Set([created.key, created.newKey]), false);
  }

  #tell(keys: ReadonlySet<string>, local: boolean): void {
    this.emit("change", [{ keys, local }]);
  }
}

function write(row: SharedRow, field: string, value: unknown): void {
  const there = row.get(field);
  if (there instanceof Text && typeof value === "string") editText(there, value);
  else if (value !== undefined && !equalityDeep(there, value)) row.set(field, value);
}

const known = new WeakMap<object, Map<string, Rows<never>>>();

/**
 * The rows that are in the map `name` of a document; the same object each time it is asked for.
 *
 * Of a provider's document it also tells what the server refuses, of a bare one it cannot.
 */
export function rows<T extends object>(source: Doc | CollabProvider, name: string): Rows<T> {
  const ofSource = known.get(source) ?? new Map<string, Rows<never>>();
  known.set(source, ofSource);
  const found = ofSource.get(name) ?? new Rows<never>(source, name);
  ofSource.set(name, found);
  return found;
}
