import { serverUrl, type ServerOptions } from "./address.js";
import { JsonSocket, ProviderTransport, type Ended, type Transport, type SocketOptions } from "./transport.js";
import type { CollabProvider } from "./provider.js";
import { hello, type Frame } from "./wire.js";

/** Options of a channel without a document. */
export interface ChannelOptions extends SocketOptions, ServerOptions {}

/** Arguments of an action, by name. */
export type Arguments = Readonly<Record<string, unknown>>;

/** The error of a failed call. */
export class LiveError extends Error {
  override readonly name = "LiveError";

  /**
   * @param action - the called action.
   * @param status - as in HTTP; 0 if the connection ended before the answer.
   * @param errors - reasons; those of arguments are objects, by argument.
   */
  constructor(
    readonly action: string,
    readonly status: number,
    readonly errors: readonly unknown[],
  ) {
    super(`${action}: ${errors.map(sentence).join(" ")} (${String(status)})`);
  }

  /** Whether it is unknown if the action was carried out. */
  get isLost(): boolean {
    return this.status === 0;
  }
}

const sentence = (error: unknown): string =>
  typeof error === "string" ? error : JSON.stringify(error);

/** A frame that the server sends without a request. */
export interface Push<T = unknown> {
  action: string;
  data: T;
  /** The group of an event. */
  group?: string;
  /** Position of a kept event in its group. */
  number?: number | null;
}

/** A subscription, renewed on each connection until it is ended. */
export interface Subscription<T = unknown> {
  /** The server's first answer. */
  readonly ready: Promise<T>;
  /** End the subscription. */
  unsubscribe(): void;
}

export interface SubscribeOptions {
  /** The action that ends the subscription; by default `un` and the name of the first. */
  unsubscribe?: string;
  /** Called if the server refuses the subscription, at first or after a reconnection. */
  onError?: (error: LiveError) => void;
}

type LiveFrame = Omit<Frame, "request_id"> & {
  request_id: string | number | null;
  group?: string;
  number?: number | null;
};
type Handler<T> = (data: T, push: Push<T>) => void;

interface Call {
  action: string;
  text: string;
  /** Whether the server may have received it. */
  sent: boolean;
  resolve: (data: unknown) => void;
  reject: (error: LiveError) => void;
}

interface Watch {
  action: string;
  arguments_: Arguments;
  handler: (push: Push) => void;
  answered: (data: unknown) => void;
  failed: (error: LiveError) => void;
}

/** Random, so that ids of channels on one connection differ. */
const prefix = (): string =>
  [...crypto.getRandomValues(new Uint32Array(2))].map((part) => part.toString(36)).join("");

/**
 * Calls actions of a `LiveConsumer`, and receives its events.
 *
 * @typeParam R - the consumer's `RuntimeState`.
 */
export class LiveChannel<R extends object = Record<string, unknown>> {
  readonly transport: Transport;
  readonly #prefix = prefix();
  #count = 0;
  readonly #calls = new Map<string, Call>();
  readonly #watches = new Map<string, Watch>();
  readonly #handlers = new Map<string, Set<Handler<never>>>();
  readonly #listeners = new Set<() => void>();
  readonly #numbers = new Map<string, Numbers>();
  #runtime = {} as Readonly<Partial<R>>;
  #runtimeIsOld = false;
  #ended: Ended | undefined;
  #destroyed = false;

  /** @param source - a provider, whose connection is shared, or a URL or path to connect to. */
  constructor(source: CollabProvider | Transport | string, options: ChannelOptions = {}) {
    this.transport = transportOf(source, options);
    this.transport.on("open", this.#onOpen);
    this.transport.on("frame", this.#onFrame);
    this.transport.on("lost", this.#onLost);
    this.transport.on("closed", this.#onClosed);
    this.transport.helloFields.add(this.#helloFields);
    // The connection's hello was sent without this channel.
    if (this.transport.connected) this.transport.send(hello([this.#helloFields]));
  }

  /** Whether the channel is connected. */
  get connected(): boolean {
    return this.transport.connected;
  }

  /** The close code and reason of a final refusal. */
  get ended(): Ended | undefined {
    return this.#ended;
  }

  /** The connection's variables; a new object after each change. */
  get runtimeState(): Readonly<Partial<R>> {
    return this.#runtime;
  }

  /** The number of the newest received event of a group; 0 if there is none. */
  lastNumber(group: string): number {
    return this.#numbers.get(group)?.last ?? 0;
  }

  /**
   * Call an action.
   *
   * Without a connection the call waits for the next one. Rejected with a `LiveError` if the server
   * refuses, or if the connection ends before the answer.
   */
  call<T = unknown>(action: string, arguments_: Arguments = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const id = this.#newId();
      const text = request(action, id, arguments_);
      const call = { action, text, sent: false, resolve: resolve as Call["resolve"], reject };
      if (this.#destroyed || !this.transport.connects) {
        reject(lost(action, this.#ended));
        return;
      }
      this.#calls.set(id, call);
      if (this.connected) this.#send(call);
    });
  }

  /**
   * Subscribe with an action, and again after each reconnection.
   *
   * `handler` gets each push, and the server's answer to each (re)subscription, as data may have
   * changed without a connection.
   */
  subscribe<T = unknown>(
    action: string,
    arguments_: Arguments = {},
    handler: (push: Push<T>) => void = () => undefined,
    { unsubscribe = `un${action}`, onError }: SubscribeOptions = {},
  ): Subscription<T> {
    const id = this.#newId();
    const ready = new Promise<T>((resolve, reject) => {
      this.#watches.set(id, {
        action,
        arguments_,
        handler: handler as Watch["handler"],
        answered: resolve as Watch["answered"],
        failed: (error) => {
          reject(error);
          onError?.(error);
        },
      });
    });
    // With a handler for errors, awaiting the first answer is optional.
    if (onError) ready.catch(() => undefined);
    if (this.connected) this.transport.send(request(action, id, arguments_));
    return { ready, unsubscribe: () => this.#unsubscribe(id, unsubscribe) };
  }

  /** Call `handler` for each event of a type; returns a function that ends this. */
  on<T = unknown>(type: string, handler: Handler<T>): () => void {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(handler));
    return () => {
      handlers.delete(handler);
    };
  }

  /**
   * Call `listener` after changes of the runtime state and the connection; returns a function that
   * ends this.
   */
  observe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Connect again after a final refusal or `disconnect()`. */
  connect(): void {
    this.#ended = undefined;
    this.transport.connect();
  }

  disconnect(): void {
    this.transport.disconnect();
    this.#fail(LEFT);
  }

  /** End the channel; unanswered calls are rejected. */
  destroy(): void {
    this.#destroyed = true;
    // Wakes up listeners that wait for a connection.
    this.changed();
    this.transport.off("open", this.#onOpen);
    this.transport.off("frame", this.#onFrame);
    this.transport.off("lost", this.#onLost);
    this.transport.off("closed", this.#onClosed);
    this.transport.helloFields.delete(this.#helloFields);
    this.transport.destroy();
    this.#fail(LEFT);
    this.#watches.clear();
    this.#handlers.clear();
    this.#listeners.clear();
  }

  protected get destroyed(): boolean {
    return this.#destroyed;
  }

  /** Call the listeners of `observe`. */
  protected changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** The error of an unanswered call. */
  protected lost(action: string): LiveError {
    return lost(action, this.#ended);
  }

  #newId(): string {
    this.#count += 1;
    return `${this.#prefix}-${String(this.#count)}`;
  }

  #send(call: Call): void {
    call.sent = true;
    this.transport.send(call.text);
  }

  #unsubscribe(id: string, action: string): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#watches.delete(id);
    // `SubscriptionMixin` needs the id as an argument; other actions use that of the request.
    const arguments_ = action === "unsubscribe" ? { subscription: id } : watch.arguments_;
    if (this.connected) this.transport.send(request(action, id, arguments_));
  }

  /** Numbers of received events, which the server does not repeat; each call gets an answer. */
  #helloFields = (): { since: Record<string, number>; answers: true } => ({
    answers: true,
    since: Object.fromEntries([...this.#numbers].map(([group, { last }]) => [group, last])),
  });

  #onOpen = (): void => {
    this.#ended = undefined;
    for (const [id, { action, arguments_ }] of this.#watches) {
      this.transport.send(request(action, id, arguments_));
    }
    for (const call of this.#calls.values()) this.#send(call);
    this.changed();
  };

  #onFrame = (frame: Frame): void => {
    const { request_id: id, ...rest } = frame as LiveFrame;
    // The next frame has the complete runtime state.
    if (frame.action === "hello") this.#runtimeIsOld = true;
    const call = this.#calls.get(String(id));
    const watch = this.#watches.get(String(id));
    if (call !== undefined) this.#answer(String(id), call, frame);
    else if (watch !== undefined) this.#notify(String(id), watch, frame);
    else if (id === null && frame.action === "runtime_state") this.#keep(frame.data as Partial<R>);
    else if (id === null && this.#isNew(rest)) this.#dispatch(rest);
  };

  #answer(id: string, call: Call, frame: Frame): void {
    this.#calls.delete(id);
    const { data, errors, response_status: status } = frame;
    if (status < 400) call.resolve(data);
    else call.reject(new LiveError(call.action, status, errors));
  }

  #notify(id: string, watch: Watch, frame: Frame): void {
    const { action, data, errors, response_status: status } = frame;
    if (status >= 400) {
      this.#watches.delete(id);
      watch.failed(new LiveError(watch.action, status, errors));
    } else {
      if (action === watch.action) watch.answered(data);
      watch.handler({ ...frame, action, data });
    }
  }

  #keep(state: Partial<R>): void {
    this.#runtime = this.#runtimeIsOld ? state : { ...this.#runtime, ...state };
    this.#runtimeIsOld = false;
    this.changed();
  }

  #isNew({ group, number }: Pick<LiveFrame, "group" | "number">): boolean {
    if (group === undefined || number === undefined || number === null) return true;
    const numbers = this.#numbers.get(group) ?? new Numbers();
    this.#numbers.set(group, numbers);
    return numbers.add(number);
  }

  #dispatch(frame: Omit<LiveFrame, "request_id">): void {
    const push = frame as Push;
    const handlers = [...(this.#handlers.get(frame.action) ?? [])] as Handler<unknown>[];
    for (const handler of handlers) handler(push.data, push);
  }

  #onLost = (ended: Ended): void => {
    this.#fail(ended);
    this.changed();
  };

  #onClosed = (ended: Ended): void => {
    this.#ended = ended;
    this.#fail(ended);
    this.changed();
  };

  #fail(ended: Ended): void {
    const calls = [...this.#calls.values()];
    this.#calls.clear();
    for (const { action, reject } of calls) reject(lost(action, ended));
  }
}

/** Numbers of a group that are remembered, at most. */
const REMEMBERED = 256;

/**
 * The numbers of a group's received events. Kept events may arrive again after a reconnection, and
 * in another order.
 */
class Numbers {
  last = 0;
  readonly #seen = new Set<number>();

  /** Add a number; returns whether it is new. */
  add(number: number): boolean {
    if (number <= this.last - REMEMBERED || this.#seen.has(number)) return false;
    this.last = Math.max(this.last, number);
    this.#seen.add(number);
    // The first that was added is the oldest, or nearly.
    for (const old of this.#seen) {
      if (this.#seen.size <= REMEMBERED) break;
      this.#seen.delete(old);
    }
    return true;
  }
}

const LEFT: Ended = { code: 1000, reason: "Disconnected here." };

const lost = (action: string, ended: Ended = LEFT): LiveError =>
  new LiveError(action, 0, [ended.reason || `The connection has ended (${String(ended.code)}).`]);

const request = (action: string, id: string, arguments_: Arguments): string =>
  JSON.stringify({ ...arguments_, action, request_id: id });

function transportOf(source: CollabProvider | Transport | string, options: ChannelOptions): Transport {
  if (typeof source === "string") return new JsonSocket(serverUrl(source, options.server), options);
  return "wsconnected" in source ? new ProviderTransport(source) : source;
}
