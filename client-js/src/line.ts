import { ObservableV2 } from "lib0/observable";

import { addressed, type Fresh, type Params } from "./address.js";
import type { CollabProvider } from "./provider.js";
import { CollabSocket, type SocketConstructor } from "./socket.js";
import { SUBPROTOCOL, hello, type Frame, type Greeting } from "./wire.js";

/** Why a connection ended; `code` is that of the websocket. */
export interface Ended {
  code: number;
  reason: string;
}

export interface LineEvents {
  /** There is a connection again. */
  open: () => void;
  /** A JSON frame of the server. */
  frame: (frame: Frame) => void;
  /** The connection, or the attempt to make one, has ended. */
  lost: (ended: Ended) => void;
  /** The server refused for good (4401, 4403, 4404); only `connect()` tries again. */
  closed: (ended: Ended) => void;
}

/** Carries JSON frames, over one connection after another. */
export interface Line extends Pick<ObservableV2<LineEvents>, "on" | "off"> {
  /** Whether there is a connection. */
  readonly connected: boolean;
  /** Whether there is one, or is going to be. */
  readonly connects: boolean;
  /** Each returns what the first frame of a connection is to say. */
  readonly greetings: Set<Greeting>;
  /** Send a frame; only while connected. */
  send(text: string): void;
  connect(): void;
  disconnect(): void;
  destroy(): void;
}

export interface SocketOptions {
  /** Parameters of the URL. */
  params?: Fresh<Params>;
  /** Sent as the parameter `token` of the URL. */
  token?: Fresh<string>;
  /** Subprotocols to offer at the handshake. */
  protocols?: string[];
  /** False: not before `connect()`. */
  connect?: boolean;
  /** Longest pause between two attempts to connect, in milliseconds. */
  maxBackoffTime?: number;
  /**
   * The server is asked for a sign of life so often, in milliseconds, and is away after twice that
   * without any.
   */
  heartbeat?: number;
  /** In place of the browser's. */
  WebSocketPolyfill?: SocketConstructor;
}

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 2500;
const HEARTBEAT = 15_000;
const PING = JSON.stringify({ action: "ping", request_id: 1 });
const GONE: Ended = { code: 1006, reason: "The server does not answer." };
const LEFT: Ended = { code: 1000, reason: "Disconnected here." };

const isFinal = (code: number): boolean => code >= 4400 && code < 4500;

/** A connection without a document, which is made again whenever it is lost. */
export class JsonSocket extends ObservableV2<LineEvents> implements Line {
  readonly url: string;
  readonly greetings = new Set<Greeting>();
  readonly #options: SocketOptions;
  #socket: CollabSocket | null = null;
  #connected = false;
  #connects = false;
  #failures = 0;
  #heard = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(url: string, options: SocketOptions = {}) {
    super();
    this.url = url;
    this.#options = options;
    if (options.connect ?? true) this.connect();
  }

  get connected(): boolean {
    return this.#connected;
  }

  get connects(): boolean {
    return this.#connects;
  }

  connect(): void {
    this.#connects = true;
    if (this.#socket === null) this.#open();
  }

  disconnect(): void {
    this.#connects = false;
    clearTimeout(this.#timer);
    this.#drop(LEFT);
  }

  send(text: string): void {
    this.#socket?.send(text);
  }

  override destroy(): void {
    this.disconnect();
    super.destroy();
  }

  #open(): void {
    clearTimeout(this.#timer);
    const { protocols = [SUBPROTOCOL], params, token, WebSocketPolyfill } = this.#options;
    const socket = new CollabSocket(this.url, protocols, WebSocketPolyfill ?? globalThis.WebSocket, {
      address: (url) => addressed(url, params, token),
      opened: () => this.#welcome(),
      received: (text) => this.#receive(text),
      sending: () => undefined,
    });
    // Without a document there are no binary frames; CollabSocket wants to know that it is wanted.
    socket.onmessage = () => undefined;
    socket.onclose = ({ code, reason }) => {
      if (this.#socket === socket) this.#drop({ code, reason });
    };
    this.#socket = socket;
  }

  #welcome(): void {
    this.#connected = true;
    this.#heard = Date.now();
    this.#beatLater();
    this.send(hello(this.greetings));
    this.emit("open", []);
  }

  #receive(text: string): void {
    this.#heard = Date.now();
    this.#failures = 0;
    this.emit("frame", [JSON.parse(text) as Frame]);
  }

  #beat(): void {
    if (Date.now() - this.#heard >= 2 * this.#heartbeat) {
      this.#drop(GONE);
    } else {
      this.send(PING);
      this.#beatLater();
    }
  }

  #beatLater(): void {
    this.#timer = setTimeout(() => this.#beat(), this.#heartbeat);
  }

  get #heartbeat(): number {
    return this.#options.heartbeat ?? HEARTBEAT;
  }

  #drop(ended: Ended): void {
    const socket = this.#socket;
    if (socket === null) return;
    clearTimeout(this.#timer);
    this.#socket = null;
    this.#connected = false;
    socket.onmessage = socket.onclose = null;
    socket.close();
    if (isFinal(ended.code)) this.#connects = false;
    if (this.#connects) this.#timer = setTimeout(() => this.#open(), this.#pause());
    this.emit("lost", [ended]);
    if (isFinal(ended.code)) this.emit("closed", [ended]);
  }

  /** Up to twice as long each time, and not the same for all: they lose the server together. */
  #pause(): number {
    const longest = this.#options.maxBackoffTime ?? LONGEST_PAUSE;
    const pause = Math.min(longest, FIRST_PAUSE * 2 ** this.#failures);
    this.#failures += 1;
    return pause * (0.5 + Math.random() / 2);
  }
}

/** The connection of a provider, which carries its document and JSON frames. */
export class ProviderLine extends ObservableV2<LineEvents> implements Line {
  readonly #provider: CollabProvider;

  constructor(provider: CollabProvider) {
    super();
    this.#provider = provider;
    provider.on("status", this.#onStatus);
    provider.on("frame", this.#onFrame);
    provider.on("connection-close", this.#onLost);
    provider.on("closed", this.#onClosed);
  }

  get greetings(): Set<Greeting> {
    return this.#provider.greetings;
  }

  get connected(): boolean {
    return this.#provider.wsconnected;
  }

  get connects(): boolean {
    return this.#provider.shouldConnect;
  }

  send(text: string): void {
    this.#provider.ws?.send(text);
  }

  connect(): void {
    this.#provider.connect();
  }

  disconnect(): void {
    this.#provider.disconnect();
  }

  /** The provider goes on. */
  override destroy(): void {
    this.#provider.off("status", this.#onStatus);
    this.#provider.off("frame", this.#onFrame);
    this.#provider.off("connection-close", this.#onLost);
    this.#provider.off("closed", this.#onClosed);
    super.destroy();
  }

  #onStatus = ({ status }: { status: string }): void => {
    if (status === "connected") this.emit("open", []);
  };

  #onFrame = (frame: Frame): void => {
    this.emit("frame", [frame]);
  };

  #onLost = (event: CloseEvent | null): void => {
    const ended = event === null ? LEFT : { code: event.code, reason: event.reason };
    this.emit("lost", [ended]);
  };

  #onClosed = (ended: Ended): void => {
    this.emit("closed", [ended]);
  };
}
