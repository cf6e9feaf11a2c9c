import { Doc } from "yjs";

import { serverUrl, type ServerOptions } from "./address.js";
import { LiveChannel, LiveError } from "./channel.js";
import { CollabProvider, type CollabOptions } from "./provider.js";
import type { Rows } from "./rows.js";
import { Tree, type Key, type Shape } from "./tree.js";
import type { Refusal, Untold } from "./wire.js";

/** Options of a channel with a document. */
export interface DocumentOptions extends CollabOptions, ServerOptions {
  /** In place of a new one, which ends with the channel. */
  doc?: Doc;
}

/** A channel with a document, on one connection. */
export class DocumentChannel<R extends object = Record<string, unknown>> extends LiveChannel<R> {
  readonly provider: CollabProvider;
  readonly #ownDoc: Doc | undefined;

  /** @param path - of the URL, or all of it. */
  constructor(path: string, { server, doc, ...options }: DocumentOptions = {}) {
    const url = serverUrl(path, server);
    const last = url.lastIndexOf("/", url.length - 2) + 1;
    const own = doc === undefined ? new Doc() : undefined;
    const provider = new CollabProvider(
      url.slice(0, last),
      url.slice(last),
      doc ?? (own as Doc),
      options,
    );
    super(provider);
    this.provider = provider;
    this.#ownDoc = own;
  }

  get doc(): Doc {
    return this.provider.doc;
  }

  override destroy(): void {
    super.destroy();
    this.provider.destroy();
    this.#ownDoc?.destroy();
  }
}

type Data = Record<string, unknown>;

/**
 * A channel with a state: the rows that nested serializers show.
 *
 * What is changed here is there at once. If the server refuses, it is soon as it was before, and
 * the promise is rejected with a `LiveError` that has the reasons by field. Without a connection
 * the promises wait, as the changes do.
 *
 * @typeParam S - the state.
 * @typeParam R - the consumer's `RuntimeState`.
 * @typeParam T - what each serializer shows, by its name.
 */
export class StateChannel<
  S = unknown,
  R extends object = Record<string, unknown>,
  T extends object = Record<string, unknown>,
> extends DocumentChannel<R> {
  readonly #tree: Tree<S>;
  #arrived = false;
  #settling: Promise<void> | undefined;

  constructor(path: string, shape: Shape, options: DocumentOptions = {}) {
    // Other tabs get changes from the server, which checks them.
    super(path, { disableBc: true, ...options });
    this.#tree = new Tree<S>(this.provider, shape);
    this.#tree.on("change", () => this.changed());
    this.provider.on("sync", (synced) => {
      this.#arrived ||= synced;
      this.changed();
    });
  }

  /** What the server has; undefined until it has come. The same object until something changes. */
  get state(): S | undefined {
    return this.#arrived ? this.#tree.state : undefined;
  }

  /** One object in the state, wherever it is nested. */
  instance<K extends keyof T & string>(type: K, key: Key): T[K] | undefined {
    return this.#tree.instance(type, key) as T[K] | undefined;
  }

  /** The rows of a serializer, with primary keys where it nests others; see `Rows`. */
  table(type: keyof T & string): Rows<Data> {
    return this.#tree.table(type);
  }

  /** Change fields of a row; resolved when they are saved. */
  async save(type: keyof T & string, key: Key, values: Data): Promise<void> {
    const table = this.#writable("save", type);
    if (!table.set(String(key), values)) throw gone("save");
    await this.#checked("save", table, String(key), Object.keys(values));
  }

  /** Make a row; resolved with its primary key when it is saved. */
  async create(type: keyof T & string, values: Data): Promise<string> {
    const table = this.#writable("create", type);
    const key = table.create(values);
    this.#tree.expect(type, key);
    try {
      await this.#checked("create", table, key);
      return table.key(key);
    } finally {
      this.#tree.forget(type, key);
    }
  }

  /** Delete a row; resolved when it is deleted. */
  async delete(type: keyof T & string, key: Key): Promise<void> {
    const table = this.#writable("delete", type);
    if (!table.delete(String(key))) throw gone("delete");
    await this.#checked("delete", table, String(key));
  }

  override destroy(): void {
    this.#tree.destroy();
    super.destroy();
  }

  #writable(operation: string, type: string): Rows<Data> {
    if (this.provider.access === "read") throw new LiveError(operation, 403, ["You may only read."]);
    return this.#tree.table(type);
  }

  /** Wait until the server has looked at all that was changed here before. */
  async #checked(operation: string, table: Rows<Data>, key: string, fields?: string[]): Promise<void> {
    const reasons: LiveError[] = [];
    const onRefused = ({ key: refused, fields: reason, status }: Refusal): void => {
      const concerns = fields === undefined || "" in reason || fields.some((name) => name in reason);
      if (table.key(refused) === table.key(key) && concerns) {
        reasons.push(new LiveError(operation, status, [reason]));
      }
    };
    const onUntold = ({ status, errors }: Untold): void => {
      reasons.push(new LiveError(operation, status, errors));
    };
    table.on("refused", onRefused);
    table.on("untold", onUntold);
    try {
      await this.#settled();
    } finally {
      table.off("refused", onRefused);
      table.off("untold", onUntold);
    }
    if (reasons[0]) throw reasons[0];
  }

  /** Those who change something at the same moment ask together. */
  #settled(): Promise<void> {
    this.#settling ??= Promise.resolve().then(() => {
      this.#settling = undefined;
      return this.#settle();
    });
    return this.#settling;
  }

  /** What was changed offline is sent as soon as the two know what the other one has. */
  async #settle(): Promise<void> {
    for (;;) {
      await this.#synced();
      try {
        await this.call("settle_rows");
        return;
      } catch (error) {
        const isOffline = error instanceof LiveError && error.isLost && this.line.connects;
        if (this.destroyed || !isOffline) throw error;
      }
    }
  }

  #synced(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.provider.synced) resolve();
        else if (this.destroyed || !this.line.connects) reject(this.lost("settle_rows"));
        else return;
        forget();
      };
      const forget = this.observe(look);
      look();
    });
  }
}

const gone = (operation: string): LiveError =>
  new LiveError(operation, 404, ["There is no such row any more."]);
