import type { Target } from "./address.js";

/** The owner of sockets: a provider. */
export interface SocketOwner {
  /** Returns the target to connect to; called once for each connection. */
  target(url: string, protocols: string[]): Promise<Target>;
  /** The socket is open; y-websocket has sent nothing yet. */
  opened(socket: CollabSocket): void;
  /** A text frame arrived, which y-websocket cannot read. */
  received(text: string): void;
  /** Returns the frames to send for a binary frame: several if it is too large. */
  outgoing(frame: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer>[];
}

type Handler<E> = ((event: E) => void) | null;

/** Constructor of any implementation of WebSocket. */
export type SocketConstructor = new (url: string, protocols: string[]) => WebSocket;

/**
 * The part of a WebSocket that y-websocket uses, observed by the provider.
 *
 * It exists before the real socket, so that the address can be determined asynchronously.
 */
export class CollabSocket {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly OPEN = 1;

  binaryType: BinaryType = "arraybuffer";
  onopen: Handler<Event> = null;
  onmessage: Handler<MessageEvent> = null;
  onerror: Handler<Event> = null;
  onclose: Handler<CloseEvent> = null;

  #owner: SocketOwner;
  #socket: WebSocket | null = null;
  #givenUp = false;

  constructor(
    url: string,
    protocols: string[],
    implementation: SocketConstructor,
    owner: SocketOwner,
  ) {
    this.#owner = owner;
    void this.#connect(url, protocols, implementation);
  }

  get readyState(): number {
    return this.#socket?.readyState ?? (this.#givenUp ? CollabSocket.CLOSED : CollabSocket.CONNECTING);
  }

  send(data: Uint8Array<ArrayBuffer> | string): void {
    const frames = typeof data === "string" ? [data] : this.#owner.outgoing(data);
    for (const frame of frames) this.#socket?.send(frame);
  }

  close(): void {
    this.#givenUp = true;
    this.#socket?.close();
  }

  async #connect(
    url: string,
    protocols: string[],
    implementation: SocketConstructor,
  ): Promise<void> {
    try {
      // At least a turn later: y-websocket attaches its handlers after creating the socket.
      const target = await this.#owner.target(url, protocols);
      if (this.#givenUp) return;
      this.#attach(new implementation(target.url, target.protocols), target.frames);
    } catch (error) {
      this.#fail(error);
    }
  }

  #attach(socket: WebSocket, frames: string[]): void {
    socket.binaryType = this.binaryType;
    socket.onopen = (event) => {
      for (const frame of frames) socket.send(frame);
      this.#owner.opened(this);
      this.onopen?.(event);
    };
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (typeof event.data !== "string") this.onmessage?.(event);
      else if (this.onmessage) this.#owner.received(event.data);
    };
    socket.onerror = (event) => this.onerror?.(event);
    socket.onclose = (event) => this.onclose?.(event);
    this.#socket = socket;
  }

  /** Without an address, report a failed connection, which y-websocket tries again later. */
  #fail(error: unknown): void {
    this.#givenUp = true;
    this.onerror?.(Object.assign(new Event("error"), { error }));
    const details = { code: 1006, reason: String(error), wasClean: false };
    this.onclose?.(Object.assign(new Event("close"), details));
  }
}
