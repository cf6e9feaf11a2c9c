/** A copy of a document in the browser's database, so that offline edits outlive the tab. */
import { applyUpdate, encodeStateAsUpdate, type Doc } from "yjs";

const UPDATES = "updates";
/** Updates beyond this number become one. */
const MAX_UPDATES = 500;

/** Return the result of a request of the database. */
const result = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(new Error("No local copy", { cause: request.error }));
  });

function open(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(UPDATES, { autoIncrement: true });
  return result(request);
}

export class LocalCopy {
  /** Resolves once the document has all of the copy; rejects without a database. */
  readonly loaded: Promise<void>;
  readonly #name: string;
  readonly #doc: Doc;
  readonly #database: Promise<IDBDatabase>;
  #count = 0;

  constructor(name: string, doc: Doc) {
    this.#name = name;
    this.#doc = doc;
    this.#database = open(name);
    this.loaded = this.#merge(false);
    // Without a database the document is on the server only; that is reported once.
    this.loaded.catch((error: unknown) => console.warn(error));
    doc.on("update", this.#keep);
  }

  /** Stop keeping; the copy stays. */
  async destroy(): Promise<void> {
    this.#doc.off("update", this.#keep);
    (await this.#database).close();
  }

  /** Stop keeping, and delete the copy. */
  async delete(): Promise<void> {
    await this.destroy();
    await result(indexedDB.deleteDatabase(this.#name));
  }

  readonly #keep = (update: Uint8Array, origin: unknown): void => {
    if (origin !== this) void this.#add(update).catch(() => undefined);
  };

  async #add(update: Uint8Array): Promise<void> {
    const database = await this.#database;
    await result(database.transaction(UPDATES, "readwrite").objectStore(UPDATES).add(update));
    this.#count += 1;
    if (this.#count > MAX_UPDATES) await this.#merge(true);
  }

  /** Read the copy, other tabs' updates included, and merge its updates if there are many. */
  async #merge(isOne: boolean): Promise<void> {
    const database = await this.#database;
    // One transaction: what another tab adds meanwhile is not deleted.
    const store = database.transaction(UPDATES, "readwrite").objectStore(UPDATES);
    const [updates, keys] = await Promise.all([
      result(store.getAll() as IDBRequest<Uint8Array[]>),
      result(store.getAllKeys()),
    ]);
    this.#doc.transact(() => updates.forEach((update) => applyUpdate(this.#doc, update, this)), this);
    this.#count = updates.length;
    if (!isOne || keys.length === 0) return;
    store.add(encodeStateAsUpdate(this.#doc));
    store.delete(IDBKeyRange.upperBound(keys.at(-1)));
    this.#count = 1;
  }
}
