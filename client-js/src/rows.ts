import { equalityDeep } from "lib0/function";
import { ObservableV2 } from "lib0/observable";
import { Map as YMap, Text, type Doc, type YEvent } from "yjs";

import type { CollabProvider } from "./provider.js";
import { editText } from "./text.js";
import type { Created, Refusal, OmittedRefusals } from "./wire.js";

type Key<T> = keyof T & string;
type SharedRow = YMap<unknown>;
type Event = YEvent<SharedRow>;

/** Values for fields of a row. */
export type Values<T> = { [F in Key<T>]?: T[F] | (T[F] extends string ? Text : never) };

/** The rows that changed, or whose errors changed. */
export interface RowsChange {
  keys: ReadonlySet<string>;
  /** Whether the change was made here, not by another client or the server. */
  local: boolean;
}

export interface RowsEvents {
  /** Rows or their errors changed; see `subscribe`. */
  change: (change: RowsChange) => void;
  /** The server refused a change made here. */
  refused: (refusal: Refusal) => void;
  /** The server refused more changes than it sends one by one, in this map or others. */
  omitted: (omitted: OmittedRefusals) => void;
  /** A row created here is in the database, under another key. */
  created: (created: Created) => void;
}

/** The rows of a Django model in a document; returned by `rows`. */
export class Rows<T extends object> extends ObservableV2<RowsEvents> {
  readonly doc: Doc;
  /** The `map_name` of the mirror. */
  readonly name: string;
  readonly #map: YMap<SharedRow>;
  /** Plain copies, made on demand and kept until the row changes. */
  readonly #copies = new Map<string, Readonly<T>>();
  #all: ReadonlyMap<string, Readonly<T>> | undefined;
  #errors: ReadonlyMap<string, Refusal> = new Map();
  /** Current keys of rows created here, by their first keys. */
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
    provider?.on("rows", (omitted) => {
      this.emit("omitted", [omitted]);
    });
    provider?.on("row_created", (created) => {
      if (created.map === name) this.#rename(created);
    });
  }

  /**
   * Return a plain copy of a row, the same object until the row changes.
   *
   * A row created here has its first values until it is stored, and then all fields.
   */
  get(key: string): Readonly<T> | undefined {
    const current = this.key(key);
    const shared = this.#shared(current);
    if (shared === undefined) return undefined;
    let copy = this.#copies.get(current);
    if (copy === undefined) this.#copies.set(current, (copy = shared.toJSON() as T));
    return copy;
  }

  /** Return plain copies of all rows by key, unordered; the same Map until a row changes. */
  all(): ReadonlyMap<string, Readonly<T>> {
    this.#all ??= new Map([...this.#map.keys()].flatMap((key) => this.#entry(key)));
    return this.#all;
  }

  #entry(key: string): [string, Readonly<T>][] {
    const row = this.get(key);
    return row === undefined ? [] : [[key, row]];
  }

  /** Return a row's current key: the database may have given one created here another key. */
  key(key: string): string {
    return this.#renamed.get(key) ?? key;
  }

  /**
   * Change fields of a row in one transaction. Equal values are left alone, and only the differing
   * part of a shared text is replaced.
   *
   * Returns false if the row is gone.
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
   * Create a row; use a `Text` in `values` for fields that are edited together.
   *
   * Returns its key, which becomes its primary key if that is a UUID. Otherwise the database
   * assigns another key, reported by the event `created`; the first one stays usable here.
   */
  create(values: Values<T>, key: string = crypto.randomUUID()): string {
    this.#map.set(key, new YMap(Object.entries(values)));
    return key;
  }

  /** Delete a row. Returns false if the row is gone. */
  delete(key: string): boolean {
    const current = this.key(key);
    const exists = this.#map.has(current);
    if (exists) this.#map.delete(current);
    return exists;
  }

  /** Return a field's shared text, to bind an editor to; undefined for a plain value. */
  text(key: string, field: Key<T>): Text | undefined {
    const value = this.#shared(this.key(key))?.get(field);
    return value instanceof Text ? value : undefined;
  }

  /** The last refusal of each row, until the row is changed here again. */
  get errors(): ReadonlyMap<string, Refusal> {
    return this.#errors;
  }

  /** Return the last refusal of a row. */
  error(key: string): Refusal | undefined {
    return this.#errors.get(this.key(key));
  }

  /** Forget the refusal of a row. */
  dismiss(key: string): void {
    const keys = new Set([this.key(key)]);
    if (this.#forget(keys)) this.#emitChange(keys, true);
  }

  /**
   * Call `listener` after each change of rows, or of the row with a `key`.
   *
   * Returns a function that ends this.
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
    this.#emitChange(keys, local);
  }

  #changed(event: Event): string[] {
    const [key] = event.path;
    return key === undefined ? [...event.changes.keys.keys()] : [String(key)];
  }

  #refuse(refusal: Refusal): void {
    const key = this.key(refusal.key);
    this.#errors = new Map(this.#errors).set(key, refusal);
    this.emit("refused", [refusal]);
    this.#emitChange(new Set([key]), false);
  }

  #forget(keys: ReadonlySet<string>): boolean {
    if (![...keys].some((key) => this.#errors.has(key))) return false;
    this.#errors = new Map([...this.#errors].filter(([key]) => !keys.has(key)));
    return true;
  }

  #rename(created: Created): void {
    if (created.key !== created.newKey) this.#renamed.set(created.key, created.newKey);
    this.emit("created", [created]);
    this.#emitChange(new Set([created.key, created.newKey]), false);
  }

  #emitChange(keys: ReadonlySet<string>, local: boolean): void {
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
 * Return the rows in the map `name` of a document; the same object each time.
 *
 * With a provider as source they include the server's refusals.
 */
export function rows<T extends object>(source: Doc | CollabProvider, name: string): Rows<T> {
  const ofSource = known.get(source) ?? new Map<string, Rows<never>>();
  known.set(source, ofSource);
  const found = ofSource.get(name) ?? new Rows<never>(source, name);
  ofSource.set(name, found);
  return found;
}
