import { ObservableV2 } from "lib0/observable";

import { target, type AddressOptions } from "./address.js";
import type { CollabProvider } from "./provider.js";
import { SessionRenewal } from "./renewal.js";
import { CollabSocket, type SocketConstructor } from "./socket.js";
import { SUBPROTOCOL, hello, type Frame, type HelloFields } from "./wire.js";

/** The end of a connection, with the websocket's close code. */
export interface Ended {
  code: number;
  reason: string;
}

export interface TransportEvents {
  /** Connected. */
  open: () => void;
  /** A JSON frame of the server. */
  frame: (frame: Frame) => void;
  /** The connection, or an attempt to connect, ended. */
  lost: (ended: Ended) => void;
  /** Final refusal (4401, 4403, 4404); only `connect()` tries again. */
  closed: (ended: Ended) => void;
}

/** Transports JSON frames over successive connections. */
export interface Transport extends Pick<ObservableV2<TransportEvents>, "on" | "off"> {
  readonly connected: boolean;
  /** Whether it is connected or tries to connect. */
  readonly connects: boolean;
  /** Functions that return more fields of a connection's first frame. */
  readonly helloFields: Set<HelloFields>;
  /** Send a frame; only while connected. */
  send(text: string): void;
  connect(): void;
  disconnect(): void;
  destroy(): void;
}

export interface SocketOptions extends AddressOptions {
  /** Subprotocols to offer at the handshake. */
  protocols?: string[];
  /** False to wait for `connect()`. */
  connect?: boolean;
  /** Longest pause between two attempts to connect, in milliseconds. */
  maxBackoffTime?: number;
  /**
   * Interval of pings, in milliseconds. After two intervals without a frame the connection counts
   * as lost.
   */
  heartbeat?: number;
  /** Replaces the browser's WebSocket. */
  WebSocketPolyfill?: SocketConstructor;
}

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 2500;
const HEARTBEAT = 15_000;
const PING = JSON.stringify({ action: "ping", request_id: 1 });
const GONE: Ended = { code: 1006, reason: "The server does not answer." };
const LEFT: Ended = { code: 1000, reason: "Disconnected here." };

const isFinal = (code: number): boolean => code >= 4400 && code < 4500;

/** A connection without a document, which reconnects whenever it is lost. */
export class JsonSocket extends ObservableV2<TransportEvents> implements Transport {
  readonly url: string;
  readonly helloFields = new Set<HelloFields>();
  readonly #options: SocketOptions;
  #socket: CollabSocket | null = null;
  #connected = false;
  #connects = false;
  #failures = 0;
  readonly #renewal = new SessionRenewal();
  #receivedAt = 0;
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
    const { protocols = [SUBPROTOCOL], WebSocketPolyfill } = this.#options;
    const socket = new CollabSocket(this.url, protocols, WebSocketPolyfill ?? globalThis.WebSocket, {
      target: (url, offered) => target(url, offered, this.#options),
      opened: () => this.#onOpen(),
      received: (text) => this.#receive(text),
      outgoing: (frame) => [frame],
    });
    // CollabSocket drops frames without this handler; without a document none are binary.
    socket.onmessage = () => undefined;
    socket.onclose = ({ code, reason }) => {
      if (this.#socket === socket) this.#drop({ code, reason });
    };
    this.#socket = socket;
  }

  #onOpen(): void {
    this.#connected = true;
    this.#receivedAt = Date.now();
    this.#beatLater();
    this.send(hello(this.helloFields));
    this.emit("open", []);
  }

  #receive(text: string): void {
    this.#receivedAt = Date.now();
    this.#failures = 0;
    this.#renewal.accept();
    this.emit("frame", [JSON.parse(text) as Frame]);
  }

  #beat(): void {
    if (Date.now() - this.#receivedAt >= 2 * this.#heartbeat) {
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
    const renewal = this.#renewal.pauseAfter(ended.code);
    const isEnd = isFinal(ended.code) && renewal === undefined;
    if (isEnd) this.#connects = false;
    if (this.#connects) this.#timer = setTimeout(() => this.#open(), renewal ?? this.#pause());
    this.emit("lost", [ended]);
    if (isEnd) this.emit("closed", [ended]);
  }

  /** Doubles each time, with jitter, as all clients lose a server at once. */
  #pause(): number {
    const longest = this.#options.maxBackoffTime ?? LONGEST_PAUSE;
    const pause = Math.min(longest, FIRST_PAUSE * 2 ** this.#failures);
    this.#failures += 1;
    return pause * (0.5 + Math.random() / 2);
  }
}

/** The connection of a provider, shared by its document and JSON frames. */
export class ProviderTransport extends ObservableV2<TransportEvents> implements Transport {
  readonly #provider: CollabProvider;

  constructor(provider: CollabProvider) {
    super();
    this.#provider = provider;
    provider.on("status", this.#onStatus);
    provider.on("frame", this.#onFrame);
    provider.on("connection-close", this.#onLost);
    provider.on("closed", this.#onClosed);
  }

  get helloFields(): Set<HelloFields> {
    return this.#provider.helloFields;
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

  /** Detach from the provider, which stays connected. */
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
