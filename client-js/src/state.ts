import { Doc } from "yjs";

import { current, serverUrl, type ServerOptions } from "./address.js";
import { LiveChannel, LiveError } from "./channel.js";
import { CollabProvider, type CollabOptions } from "./provider.js";
import type { Rows } from "./rows.js";
import { Tree, type Key, type Shape } from "./tree.js";
import type { Refusal, OmittedRefusals } from "./wire.js";

/** Options of a channel with a document. */
export interface DocumentOptions extends CollabOptions, ServerOptions {
  /** By default a new one, which is destroyed with the channel. */
  doc?: Doc;
}

/** A channel with a document, on one connection. */
export class DocumentChannel<R extends object = Record<string, unknown>> extends LiveChannel<R> {
  readonly provider: CollabProvider;
  readonly #ownDoc: Doc | undefined;

  /** @param path - of the URL, or a complete URL. */
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
 * A channel with a state: the rows of nested serializers.
 *
 * Changes made here are visible at once. If the server refuses one, it is set back, and the promise
 * is rejected with a `LiveError` with reasons by field. Without a connection changes and their
 * promises wait.
 *
 * @typeParam S - the state.
 * @typeParam R - the consumer's `RuntimeState`.
 * @typeParam T - types of rows, by serializer.
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
    // Other tabs get changes from the server only, which checks them.
    super(path, { disableBc: true, ...(shape.perConnection ? withList(options) : options) });
    this.#tree = new Tree<S>(this.provider, shape);
    this.#tree.on("change", () => this.changed());
    this.provider.on("sync", (synced) => {
      this.#arrived ||= synced;
      this.changed();
    });
  }

  /** The state; undefined before it is received. The same object until something changes. */
  get state(): S | undefined {
    return this.#arrived ? this.#tree.state : undefined;
  }

  /** Return an object in the state, at any depth. */
  instance<K extends keyof T & string>(type: K, key: Key): T[K] | undefined {
    return this.#tree.instance(type, key) as T[K] | undefined;
  }

  /** Return the rows of a serializer, with primary keys in place of nested rows; see `Rows`. */
  table(type: keyof T & string): Rows<Data> {
    return this.#tree.table(type);
  }

  /** Change fields of a row; resolves when they are saved. */
  async save(type: keyof T & string, key: Key, values: Data): Promise<void> {
    const table = this.#writable("save", type);
    if (!table.set(String(key), values)) throw gone("save");
    await this.#checked("save", table, String(key), Object.keys(values));
  }

  /** Create a row; resolves with its primary key when it is saved. */
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

  /** Delete a row; resolves when it is deleted. */
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
    if (this.provider.access === "read") throw new LiveError(operation, 403, ["You have read-only access."]);
    return this.#tree.table(type);
  }

  /** Wait until the server has checked all earlier changes; throw the refusal of this one. */
  async #checked(operation: string, table: Rows<Data>, key: string, fields?: string[]): Promise<void> {
    const reasons: LiveError[] = [];
    const onRefused = ({ key: refused, fields: reason, status }: Refusal): void => {
      const concerns = fields === undefined || "" in reason || fields.some((name) => name in reason);
      if (table.key(refused) === table.key(key) && concerns) {
        reasons.push(new LiveError(operation, status, [reason]));
      }
    };
    const onOmitted = ({ status, errors }: OmittedRefusals): void => {
      reasons.push(new LiveError(operation, status, errors));
    };
    table.on("refused", onRefused);
    table.on("omitted", onOmitted);
    try {
      await this.#settled();
    } finally {
      table.off("refused", onRefused);
      table.off("omitted", onOmitted);
    }
    if (reasons[0]) throw reasons[0];
  }

  /** Changes made in one turn share a call. */
  #settled(): Promise<void> {
    this.#settling ??= Promise.resolve().then(() => {
      this.#settling = undefined;
      return this.#settle();
    });
    return this.#settling;
  }

  /** Wait for the sync, which sends offline changes, and for the server to check them. */
  async #settle(): Promise<void> {
    for (;;) {
      await this.#synced();
      try {
        await this.call("settle_rows");
        return;
      } catch (error) {
        const isOffline = error instanceof LiveError && error.isLost && this.transport.connects;
        if (this.destroyed || !isOffline) throw error;
      }
    }
  }

  #synced(): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.provider.synced) resolve();
        else if (this.destroyed || !this.transport.connects) reject(this.lost("settle_rows"));
        else return;
        forget();
      };
      const forget = this.observe(look);
      look();
    });
  }
}

/** Options with the name of a list that this channel has over all connections. */
function withList(options: DocumentOptions): DocumentOptions {
  const list = crypto.randomUUID();
  return { ...options, params: async () => ({ ...(await current(options.params ?? {})), list }) };
}

const gone = (operation: string): LiveError =>
  new LiveError(operation, 404, ["The row is gone."]);
