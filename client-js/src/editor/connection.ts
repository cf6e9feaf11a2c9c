/** Connections to documents, one for all editors of a document on a page. */
import type { Awareness } from "y-protocols/awareness";
import { Doc } from "yjs";

import { serverUrl } from "../address.js";
import { CollabProvider } from "../provider.js";
import { LocalCopy } from "./local-copy.js";
import { SUBPROTOCOL } from "../wire.js";

export interface Target {
  name: string;
  /** The address below which the documents are. */
  url: string;
  /** A grant of the server's; sent as a subprotocol, so that it is in no log. */
  token: string;
  /** Of the document's structure that the page is made for; if there are versions. */
  version: number | undefined;
  /** The local copy's owner; none without a copy. */
  copyOf: string | null;
}

/** An element that is taken out of the page may be put in elsewhere at once. */
const LINGER = 1000;
/** A browser that has no database, or does not answer, must not hold up the connection. */
const COPY_TIMEOUT = 2000;
/** From here on, close codes say that the user may not open the document. */
const FIRST_DENIAL = 4400;

const connections = new Map<string, Connection>();

/** A document, its provider, and the copy in the browser. */
export class Connection {
  readonly doc = new Doc();
  readonly provider: CollabProvider;
  /** Resolves once there is content: the browser's copy, or the server's. */
  readonly loaded: Promise<void>;
  #uses = 0;
  readonly #key: string;
  readonly #copy: LocalCopy | undefined;

  constructor(key: string, target: Target) {
    this.#key = key;
    const protocols = target.token ? [SUBPROTOCOL, `collab.grant.${target.token}`] : [SUBPROTOCOL];
    const url = serverUrl(target.url.replace(/\/$/, ""));
    this.provider = new CollabProvider(url, encodedName(target.name), this.doc, {
      connect: false,
      protocols,
      ...(target.version === undefined ? {} : { version: target.version }),
    });
    if (target.copyOf !== null) {
      this.#copy = new LocalCopy(`collab ${url}/${target.name} ${target.copyOf}`, this.doc);
    }
    this.loaded = this.#load();
    this.provider.on("closed", ({ code }) => {
      if (code >= FIRST_DENIAL) this.#copy?.delete().catch(() => undefined);
    });
    addEventListener("beforeunload", this.#warn);
  }

  get awareness(): Awareness {
    return this.provider.awareness;
  }

  use(): this {
    this.#uses += 1;
    return this;
  }

  /** End a use; the last one ends the connection, a moment later. */
  release(): void {
    this.#uses -= 1;
    setTimeout(() => this.#end(), LINGER);
  }

  #end(): void {
    if (this.#uses > 0 || connections.get(this.#key) !== this) return;
    connections.delete(this.#key);
    removeEventListener("beforeunload", this.#warn);
    this.provider.destroy();
    this.#copy?.destroy().catch(() => undefined);
    this.doc.destroy();
  }

  async #load(): Promise<void> {
    const synced = new Promise<void>((resolve) => {
      this.provider.on("sync", (isSynced) => isSynced && resolve());
    });
    if (this.#copy) {
      const copied = this.#copy.loaded.then(
        () => true,
        () => false,
      );
      const late = new Promise<false>((resolve) => setTimeout(() => resolve(false), COPY_TIMEOUT));
      const hasCopy = await Promise.race([copied, late]);
      // Connect afterwards, so that only missing updates are exchanged.
      this.provider.connect();
      if (hasCopy && this.doc.store.clients.size > 0) return;
    } else {
      this.provider.connect();
    }
    await synced;
  }

  /** Ask before leaving while anything is not stored. */
  readonly #warn = (event: BeforeUnloadEvent): void => {
    if (this.provider.unsaved > 0 && this.provider.durable !== false) event.preventDefault();
  };
}

/** Return the page's connection to a document. */
export function connect(target: Target): Connection {
  const key = JSON.stringify([target.url, target.name, target.token]);
  const connection = connections.get(key) ?? new Connection(key, target);
  connections.set(key, connection);
  return connection.use();
}

/** Slashes of a name are its own; other letters may be none of an address. */
const encodedName = (name: string): string => name.split("/").map(encodeURIComponent).join("/");
