import type { ObservableV2 } from "lib0/observable";
import { WebsocketProvider } from "y-websocket";
import type { Doc } from "yjs";

import { addressed, type Fresh, type Params } from "./address.js";
import { Ledger } from "./ledger.js";
import { CollabSocket, type SocketConstructor } from "./socket.js";
import {
  SUBPROTOCOL,
  hello,
  type Access,
  type Created,
  type Frame,
  type Greeting,
  type Hello,
  type Refusal,
  type Untold,
} from "./wire.js";

type StockOptions = NonNullable<ConstructorParameters<typeof WebsocketProvider>[3]>;

/** The options of y-websocket's provider, and what may differ from connection to connection. */
export interface CollabOptions extends Omit<StockOptions, "params"> {
  /** Parameters of the URL. */
  params?: Fresh<Params>;
  /** Sent as the parameter `token` of the URL. */
  token?: Fresh<string>;
}

/** The events of y-websocket's provider, and what the server of django-collab tells besides. */
export interface CollabEvents {
  status: (event: { status: "connected" | "disconnected" | "connecting" }) => void;
  sync: (synced: boolean) => void;
  "connection-close": (event: CloseEvent | null, provider: WebsocketProvider) => void;
  "connection-error": (event: Event, provider: WebsocketProvider) => void;
  /** The server refused for good (4401, 4403, 4404); only `connect()` tries again. */
  closed: (event: { code: number; reason: string }, provider: WebsocketProvider) => void;
  /** So many of this connection's update frames are stored, of so many sent. */
  saved: (event: { saved: number; sent: number }) => void;
  /** How many local updates are not stored yet; told when the number changes. */
  unsaved: (count: number) => void;
  /** What the user may do; told when it becomes known and when it changes. */
  access: (access: Access) => void;
  /** The server did not take a change of a row. */
  row: (refusal: Refusal) => void;
  /** The server did not take more changes of rows than it tells one by one. */
  rows: (untold: Untold) => void;
  /** A row that was made here is in the database, under another key. */
  row_created: (created: Created) => void;
  /** Every JSON frame of the server, these included from which the events above come. */
  frame: (frame: Frame) => void;
}

type Events = ObservableV2<CollabEvents>;

const refusal = ({ data, errors, response_status }: Frame): Refusal => ({
  ...(data as Pick<Refusal, "map" | "key" | "fields" | "values">),
  errors,
  status: response_status,
});

const untold = ({ data, errors, response_status }: Frame): Untold => ({
  refused: (data as Pick<Untold, "refused">).refused,
  errors,
  status: response_status,
});

const created = ({ data }: Frame): Created => {
  const { map, key, new_key } = data as { map: string; key: string; new_key: string };
  return { map, key, newKey: new_key };
};

/** y-websocket's provider, for a django-collab server: it knows what is saved and allowed. */
export class CollabProvider extends WebsocketProvider {
  declare on: Events["on"];
  declare once: Events["once"];
  declare off: Events["off"];
  declare emit: Events["emit"];

  /** Each returns what the hello of a connection is to say besides. */
  readonly greetings = new Set<Greeting>();
  #ledger = new Ledger();
  #told = 0;
  #access: Access | undefined;
  #durable: boolean | undefined;
  readonly #freshParams: Fresh<Params>;
  readonly #token: Fresh<string> | undefined;

  constructor(serverUrl: string, room: string, doc: Doc, options: CollabOptions = {}) {
    const { params = {}, token, connect = true, ...stock } = options;
    const implementation = stock.WebSocketPolyfill ?? globalThis.WebSocket;
    super(serverUrl, room, doc, {
      protocols: [SUBPROTOCOL],
      ...stock,
      WebSocketPolyfill: implementation,
      connect: false,
    });
    this.#freshParams = params;
    this.#token = token;
    this._WS = this.#socketClass(implementation);
    // y-websocket's own handler was attached before and has sent the update if it could.
    doc.on("update", this.#onUpdate);
    this.on("connection-close", () => this.#count(() => this.#ledger.reset()));
    if (connect) this.connect();
  }

  /** Local updates that the server did not confirm as stored. */
  get unsaved(): number {
    return this.#ledger.unsaved;
  }

  /** What the user may do here; unknown before the first answer of the server. */
  get access(): Access | undefined {
    return this.#access;
  }

  /** Whether the server stores this document; one that it does not store is never saved. */
  get durable(): boolean | undefined {
    return this.#durable;
  }

  override destroy(): void {
    this.doc.off("update", this.#onUpdate);
    super.destroy();
  }

  #socketClass(implementation: SocketConstructor): typeof WebSocket {
    const owner = {
      address: (url: string) => addressed(url, this.#freshParams, this.#token),
      opened: (socket: CollabSocket) => socket.send(hello(this.greetings)),
      received: (text: string) => this.#receive(JSON.parse(text) as Frame),
      sending: (frame: Uint8Array) => this.#count(() => this.#ledger.send(frame)),
    };
    const bound = class extends CollabSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, implementation, owner);
      }
    };
    return bound as unknown as typeof WebSocket;
  }

  #receive(frame: Frame): void {
    this.wsLastMessageReceived = Date.now();
    if (frame.action === "hello") this.#welcome(frame.data as Hello);
    if (frame.action === "access") this.#regrant((frame.data as Hello).access);
    if (frame.action === "saved") this.#confirm((frame.data as { count: number }).count);
    if (frame.action === "row") this.emit("row", [refusal(frame)]);
    if (frame.action === "rows") this.emit("rows", [untold(frame)]);
    if (frame.action === "row_created") this.emit("row_created", [created(frame)]);
    this.emit("frame", [frame]);
  }

  #welcome(hello: Hello): void {
    this.#durable = hello.durable;
    this.#grant(hello.access);
  }

  #regrant(access: Access): void {
    if (access === "write") this.#ledger.retry();
    this.#grant(access);
  }

  #grant(access: Access): void {
    if (access === this.#access) return;
    this.#access = access;
    this.emit("access", [access]);
  }

  #confirm(count: number): void {
    this.#count(() => this.#ledger.confirm(count));
    this.emit("saved", [{ saved: this.#ledger.saved, sent: this.#ledger.sent }]);
  }

  #onUpdate = (_update: Uint8Array, origin: unknown): void => {
    const sent = this.wsconnected && this.ws?.readyState === this.ws?.OPEN;
    if (origin !== this && !sent) this.#count(() => this.#ledger.keep());
  };

  #count(change: () => void): void {
    change();
    if (this.unsaved === this.#told) return;
    this.#told = this.unsaved;
    this.emit("unsaved", [this.#told]);
  }
}
