import { serverUrl, type ServerOptions } from "./address.js";
import { JsonSocket, ProviderLine, type Ended, type Line, type SocketOptions } from "./line.js";
import type { CollabProvider } from "./provider.js";
import { hello, type Frame } from "./wire.js";

/** Options of a channel without a document. */
export interface ChannelOptions extends SocketOptions, ServerOptions {}

/** Arguments of an action, by name. */
export type Arguments = Readonly<Record<string, unknown>>;

/** Why a call has failed. */
export class LiveError extends Error {
  override readonly name = "LiveError";

  /**
   * @param action - that was called.
   * @param status - as in HTTP; 0 if there is no answer, because the connection has ended.
   * @param errors - reasons; those that belong to an argument are by its name.
   */
  constructor(
    readonly action: string,
    readonly status: number,
    readonly errors: readonly unknown[],
  ) {
    super(`${action}: ${errors.map(sentence).join(" ")} (${String(status)})`);
  }

  /** Whether nobody knows if the action was carried out. */
  get isLost(): boolean {
    return this.status === 0;
  }
}

const sentence = (error: unknown): string =>
  typeof error === "string" ? error : JSON.stringify(error);

/** What the server sends of its own accord. */
export interface Push<T = unknown> {
  action: string;
  data: T;
  /** The group that an event was published to. */
  group?: string;
  /** Of the event among those of its group. */
  number?: number | null;
}

/** Something that is told until it is ended, over all connections. */
export interface Subscription<T = unknown> {
  /** What the server has answered first. */
  readonly ready: Promise<T>;
  /** Be told no more. */
  unsubscribe(): void;
}

export interface SubscribeOptions {
  /** The action that ends it on the server; by default `un` and the first one. */
  unsubscribe?: string;
  /** The server refuses, at first or after a reconnection. */
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
  /** Whether the server may have it. */
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

/** Random, so that channels that share a connection have ids of their own. */
const prefix = (): string =>
  [...crypto.getRandomValues(new Uint32Array(2))].map((part) => part.toString(36)).join("");

/**
 * Calls actions of a `LiveConsumer`, and hears what it tells.
 *
 * @typeParam R - the consumer's `RuntimeState`.
 */
export class LiveChannel<R extends object = Record<string, unknown>> {
  readonly line: Line;
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

  /** @param source - a provider, whose connection is used, or a URL or a path to connect to. */
  constructor(source: CollabProvider | Line | string, options: ChannelOptions = {}) {
    this.line = lineOf(source, options);
    this.line.on("open", this.#onOpen);
    this.line.on("frame", this.#onFrame);
    this.line.on("lost", this.#onLost);
    this.line.on("closed", this.#onClosed);
    this.line.greetings.add(this.#greet);
    // It was said without this channel.
    if (this.line.connected) this.line.send(hello([this.#greet]));
  }

  /** Whether there is a connection. */
  get connected(): boolean {
    return this.line.connected;
  }

  /** Why the server has refused for good. */
  get ended(): Ended | undefined {
    return this.#ended;
  }

  /** The variables of the connection; another object whenever one of them changes. */
  get runtimeState(): Readonly<Partial<R>> {
    return this.#runtime;
  }

  /** The number of the newest event of a group that has come; 0 if there is none. */
  lastNumber(group: string): number {
    return this.#numbers.get(group)?.last ?? 0;
  }

  /**
   * Call an action.
   *
   * Without a connection it waits for the next one. Rejected with a `LiveError` if the server
   * refuses, and if the connection ends before the answer has come.
   */
  call<T = unknown>(action: string, arguments_: Arguments = {}): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const id = this.#newId();
      const text = request(action, id, arguments_);
      const call = { action, text, sent: false, resolve: resolve as Call["resolve"], reject };
      if (this.#destroyed || !this.line.connects) {
        reject(lost(action, this.#ended));
        return;
      }
      this.#calls.set(id, call);
      if (this.connected) this.#send(call);
    });
  }

  /**
   * Subscribe by an action, and again after each reconnection.
   *
   * `handler` gets what is pushed, and the answer each time that the server takes the subscription,
   * as things may have changed while there was no connection.
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
    // Who has given a handler for errors need not wait for the first answer as well.
    if (onError) ready.catch(() => undefined);
    if (this.connected) this.line.send(request(action, id, arguments_));
    return { ready, unsubscribe: () => this.#unsubscribe(id, unsubscribe) };
  }

  /** Have `handler` called for each event of a type; returns what ends it. */
  on<T = unknown>(type: string, handler: Handler<T>): () => void {
    const handlers = this.#handlers.get(type) ?? new Set();
    this.#handlers.set(type, handlers.add(handler));
    return () => {
      handlers.delete(handler);
    };
  }

  /** Have `listener` called when the runtime state or the connection is another; returns what ends it. */
  observe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** Connect again after the server has refused for good, or after `disconnect()`. */
  connect(): void {
    this.#ended = undefined;
    this.line.connect();
  }

  disconnect(): void {
    this.line.disconnect();
    this.#fail(LEFT);
  }

  /** End all of it; calls that have no answer yet are rejected. */
  destroy(): void {
    this.#destroyed = true;
    // Those who wait for a connection.
    this.changed();
    this.line.off("open", this.#onOpen);
    this.line.off("frame", this.#onFrame);
    this.line.off("lost", this.#onLost);
    this.line.off("closed", this.#onClosed);
    this.line.greetings.delete(this.#greet);
    this.line.destroy();
    this.#fail(LEFT);
    this.#watches.clear();
    this.#handlers.clear();
    this.#listeners.clear();
  }

  protected get destroyed(): boolean {
    return this.#destroyed;
  }

  /** Tell those who observe. */
  protected changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  /** What a call is rejected with that has no answer. */
  protected lost(action: string): LiveError {
    return lost(action, this.#ended);
  }

  #newId(): string {
    this.#count += 1;
    return `${this.#prefix}-${String(this.#count)}`;
  }

  #send(call: Call): void {
    call.sent = true;
    this.line.send(call.text);
  }

  #unsubscribe(id: string, action: string): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#watches.delete(id);
    // The one of `SubscriptionMixin` wants to be told which; others' have the id of the request.
    const arguments_ = action === "unsubscribe" ? { subscription: id } : watch.arguments_;
    if (this.connected) this.line.send(request(action, id, arguments_));
  }

  /** The server is told which events are known, so that it need not repeat them. */
  #greet = (): { since: Record<string, number> } => ({
    since: Object.fromEntries([...this.#numbers].map(([group, { last }]) => [group, last])),
  });

  #onOpen = (): void => {
    this.#ended = undefined;
    for (const [id, { action, arguments_ }] of this.#watches) {
      this.line.send(request(action, id, arguments_));
    }
    for (const call of this.#calls.values()) this.#send(call);
    this.changed();
  };

  #onFrame = (frame: Frame): void => {
    const { request_id: id, ...rest } = frame as LiveFrame;
    // What comes next is all of the runtime state.
    if (frame.action === "hello") this.#runtimeIsOld = true;
    const call = this.#calls.get(String(id));
    const watch = this.#watches.get(String(id));
    if (call !== undefined) this.#answer(String(id), call, frame);
    else if (watch !== undefined) this.#notify(String(id), watch, frame);
    else if (id === null && frame.action === "runtime_state") this.#keep(frame.data as Partial<R>);
    else if (id === null && this.#isNew(rest)) this.#tell(rest);
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

  #tell(frame: Omit<LiveFrame, "request_id">): void {
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

/** So many numbers of a group are remembered one by one. */
const REMEMBERED = 256;

/**
 * The numbers of a group's events that have come: those that are kept for who comes later come
 * again after a reconnection. They may overtake each other on their way.
 */
class Numbers {
  last = 0;
  readonly #seen = new Set<number>();

  /** Returns whether it is new. */
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

function lineOf(source: CollabProvider | Line | string, options: ChannelOptions): Line {
  if (typeof source === "string") return new JsonSocket(serverUrl(source, options.server), options);
  return "wsconnected" in source ? new ProviderLine(source) : source;
}
