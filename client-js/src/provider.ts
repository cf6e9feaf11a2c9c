import type { ObservableV2 } from "lib0/observable";
import { WebsocketProvider } from "y-websocket";
import type { Doc } from "yjs";

import { target, type AddressOptions } from "./address.js";
import { UnsavedCounter } from "./unsaved-counter.js";
import { SessionRenewal } from "./renewal.js";
import { CollabSocket, type SocketConstructor } from "./socket.js";
import { splitFrame } from "./split.js";
import {
  CloseCode,
  SUBPROTOCOL,
  hello,
  type Access,
  type Created,
  type DocumentRefusal,
  type Frame,
  type HelloFields,
  type Hello,
  type Refusal,
  type OmittedRefusals,
} from "./wire.js";

type StockOptions = NonNullable<ConstructorParameters<typeof WebsocketProvider>[3]>;

/** The options of y-websocket's provider, with parameters for each connection. */
export interface CollabOptions extends Omit<StockOptions, "params">, AddressOptions {
  /**
   * Largest binary frame to send, in bytes; larger updates are split. At most the server's
   * `MAX_FRAME_SIZE`.
   */
  maxFrameSize?: number;
  /**
   * The version of the document's structure that this page is written for, as `version` of the
   * document's type. If the server has a newer one, the page may only read.
   */
  version?: number;
}

const MAX_FRAME_SIZE = 1024 * 1024;
/** Close codes for updates that the server never accepts. */
const REFUSALS = new Set<number>([CloseCode.PROTOCOL_VIOLATION, CloseCode.TOO_BIG]);

/** The events of y-websocket's provider, and those of a django-collab server. */
export interface CollabEvents {
  status: (event: { status: "connected" | "disconnected" | "connecting" }) => void;
  sync: (synced: boolean) => void;
  "connection-close": (event: CloseEvent | null, provider: WebsocketProvider) => void;
  "connection-error": (event: Event, provider: WebsocketProvider) => void;
  /** Final refusal (4401, 4403, 4404); only `connect()` tries again. */
  closed: (event: { code: number; reason: string }, provider: WebsocketProvider) => void;
  /**
   * The server refused an update for good (1008, 1009), such as one that makes the document too
   * large. The provider stops connecting; `connect()` tries again.
   */
  refused: (event: { code: number; reason: string }) => void;
  /** Numbers of this connection's update frames that are stored and sent. */
  saved: (event: { saved: number; sent: number }) => void;
  /** The number of local updates that are not stored yet; emitted when it changes. */
  unsaved: (count: number) => void;
  /**
   * The server expects pages of a newer version, so this one may only read: ask the user to reload
   * it.
   */
  upgrade: (versions: { version: number; required: number }) => void;
  /** The user's access; emitted when it becomes known and when it changes. */
  access: (access: Access) => void;
  /** The server refused changes, by whichever user, and set the document back to before them. */
  document: (refusal: DocumentRefusal) => void;
  /** The server refused a change of a row. */
  row: (refusal: Refusal) => void;
  /** The server refused more changes of rows than it sends one by one. */
  rows: (omitted: OmittedRefusals) => void;
  /** A row created here is in the database, under another key. */
  row_created: (created: Created) => void;
  /** A message that is not part of the document, of `documents.send_stateless()`. */
  stateless: (event: { payload: string }) => void;
  /** Every JSON frame of the server, including those of the events above. */
  frame: (frame: Frame) => void;
}

type Events = ObservableV2<CollabEvents>;

const refusal = ({ data, errors, response_status }: Frame): Refusal => ({
  ...(data as Pick<Refusal, "map" | "key" | "fields" | "values">),
  errors,
  status: response_status,
});

const documentRefusal = ({ data, errors, response_status }: Frame): DocumentRefusal => ({
  fields: (data as Pick<DocumentRefusal, "fields">).fields,
  errors,
  status: response_status,
});

const omitted = ({ data, errors, response_status }: Frame): OmittedRefusals => ({
  refused: (data as Pick<OmittedRefusals, "refused">).refused,
  errors,
  status: response_status,
});

const created = ({ data }: Frame): Created => {
  const { map, key, new_key } = data as { map: string; key: string; new_key: string };
  return { map, key, newKey: new_key };
};

/** y-websocket's provider for a django-collab server, with access and unsaved updates. */
export class CollabProvider extends WebsocketProvider {
  declare on: Events["on"];
  declare once: Events["once"];
  declare off: Events["off"];
  declare emit: Events["emit"];

  /** Functions that return more fields of a connection's hello. */
  readonly helloFields = new Set<HelloFields>();
  #counter = new UnsavedCounter();
  #emitted = 0;
  #access: Access | undefined;
  #durable: boolean | undefined;
  readonly #address: AddressOptions;
  readonly #maxFrameSize: number;
  readonly #version: number | undefined;
  #violations = 0;
  readonly #renewal = new SessionRenewal();

  constructor(serverUrl: string, room: string, doc: Doc, options: CollabOptions = {}) {
    const implementation = options.WebSocketPolyfill ?? globalThis.WebSocket;
    super(serverUrl, room, doc, {
      protocols: [SUBPROTOCOL],
      ...options,
      // Set for each connection.
      params: {},
      WebSocketPolyfill: implementation,
      connect: false,
    });
    this.#address = options;
    this.#maxFrameSize = options.maxFrameSize ?? MAX_FRAME_SIZE;
    this.#version = options.version;
    if (options.version !== undefined) {
      const { version } = options;
      this.helloFields.add(() => ({ version }));
    }
    const { shouldReconnect } = this;
    this.shouldReconnect = (event, provider) =>
      this.#returns(event.code) ||
      (!this.#isRefusal(event.code) && shouldReconnect(event, provider));
    this.on("closed", ({ code, reason }) => {
      if (REFUSALS.has(code)) this.emit("refused", [{ code, reason }]);
    });
    this._WS = this.#socketClass(implementation);
    // y-websocket's own handler runs first, and sends the update if connected.
    doc.on("update", this.#onUpdate);
    this.on("connection-close", () => this.#count(() => this.#counter.reset()));
    if (options.connect ?? true) this.connect();
  }

  /** The number of local updates that the server did not confirm as stored. */
  get unsaved(): number {
    return this.#counter.unsaved;
  }

  /** The user's access; undefined before the server's first answer. */
  get access(): Access | undefined {
    return this.#access;
  }

  /** Whether the server stores this document; otherwise it is never saved. */
  get durable(): boolean | undefined {
    return this.#durable;
  }

  /**
   * Send a text that is not part of the document to `receive_stateless()` of the server's consumer.
   *
   * Returns whether it was sent: there is nothing to send it to while the provider is not connected.
   */
  sendStateless(payload: string): boolean {
    const { ws } = this;
    if (!this.wsconnected || ws?.readyState !== ws?.OPEN) return false;
    ws?.send(JSON.stringify({ action: "stateless", data: payload }));
    return true;
  }

  override destroy(): void {
    this.doc.off("update", this.#onUpdate);
    super.destroy();
  }

  #socketClass(implementation: SocketConstructor): typeof WebSocket {
    const owner = {
      target: (url: string, protocols: string[]) => target(url, protocols, this.#address),
      opened: (socket: CollabSocket) => socket.send(hello(this.helloFields)),
      received: (text: string) => this.#receive(JSON.parse(text) as Frame),
      outgoing: (frame: Uint8Array<ArrayBuffer>) => this.#split(frame),
    };
    const bound = class extends CollabSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols, implementation, owner);
      }
    };
    return bound as unknown as typeof WebSocket;
  }

  #split(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[] {
    const frames = splitFrame(frame, this.#maxFrameSize);
    this.#count(() => {
      frames.forEach((part, index) => this.#counter.send(part, index === frames.length - 1));
    });
    return frames;
  }

  /**
   * Return whether sending the same again is of no use: an update that is too large at once, any
   * other frame if it is refused twice before anything is stored.
   */
  #isRefusal(code: number): boolean {
    if (code === CloseCode.PROTOCOL_VIOLATION) this.#violations += 1;
    const isFinal = code === CloseCode.TOO_BIG || this.#violations > 1;
    if (isFinal) this.#violations = 0;
    return isFinal;
  }

  /** Return whether to connect again after 4401, and set y-websocket's pause before that. */
  #returns(code: number): boolean {
    const pause = this.#renewal.pauseAfter(code);
    if (pause === undefined) return false;
    this.wsUnsuccessfulReconnects = Math.log2(pause / 100);
    return true;
  }

  #receive(frame: Frame): void {
    this.wsLastMessageReceived = Date.now();
    if (frame.action === "hello") this.#onHello(frame.data as Hello);
    if (frame.action === "access") this.#regrant((frame.data as Hello).access);
    if (frame.action === "saved") this.#confirm((frame.data as { count: number }).count);
    if (frame.action === "stateless") {
      this.emit("stateless", [{ payload: frame.data as string }]);
    }
    if (frame.action === "document") this.emit("document", [documentRefusal(frame)]);
    if (frame.action === "row") this.emit("row", [refusal(frame)]);
    if (frame.action === "rows") this.emit("rows", [omitted(frame)]);
    if (frame.action === "row_created") this.emit("row_created", [created(frame)]);
    this.emit("frame", [frame]);
  }

  #onHello(hello: Hello): void {
    this.#durable = hello.durable;
    this.#renewal.accept();
    this.#grant(hello.access);
    this.#compare(hello.version);
  }

  #compare(required: number | undefined): void {
    const version = this.#version;
    if (version === undefined || required === undefined || version >= required) return;
    // Tabs of the same browser exchange changes; a newer one must not get those of this page.
    this.disconnectBc();
    this.emit("upgrade", [{ version, required }]);
  }

  #regrant(access: Access): void {
    if (access === "write") this.#counter.retry();
    this.#grant(access);
  }

  #grant(access: Access): void {
    if (access === this.#access) return;
    this.#access = access;
    this.emit("access", [access]);
  }

  #confirm(count: number): void {
    if (count > 0) this.#violations = 0;
    this.#count(() => this.#counter.confirm(count));
    this.emit("saved", [{ saved: this.#counter.saved, sent: this.#counter.sent }]);
  }

  #onUpdate = (_update: Uint8Array, origin: unknown): void => {
    const sent = this.wsconnected && this.ws?.readyState === this.ws?.OPEN;
    if (origin !== this && !sent) this.#count(() => this.#counter.keep());
  };

  #count(change: () => void): void {
    change();
    if (this.unsaved === this.#emitted) return;
    this.#emitted = this.unsaved;
    this.emit("unsaved", [this.#emitted]);
  }
}
