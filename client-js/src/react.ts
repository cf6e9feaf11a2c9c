/** React hooks for rows and channels; the only module here that needs React. */
import { useCallback, useMemo, useRef, useSyncExternalStore } from "react";

import type { LiveChannel } from "./channel.js";
import type { CollabProvider } from "./provider.js";
import type { Rows } from "./rows.js";
import type { StateChannel } from "./state.js";
import type { Ended } from "./transport.js";
import type { Key } from "./tree.js";
import type { Access, Refusal } from "./wire.js";

type All<T> = ReadonlyMap<string, Readonly<T>>;

/** All rows by key; renders again when any of them changes. */
export function useRows<T extends object>(rows: Rows<T>): All<T>;
/** The result of `select` for all rows; renders again when it is not equal to the last one. */
export function useRows<T extends object, S>(
  rows: Rows<T>,
  select: (all: All<T>) => S,
  isEqual?: (one: S, other: S) => boolean,
): S;
export function useRows<T extends object, S>(
  rows: Rows<T>,
  select: (all: All<T>) => S = (all) => all as S,
  isEqual: (one: S, other: S) => boolean = alike,
): S {
  const subscribe = useCallback((notify: () => void) => rows.subscribe(notify), [rows]);
  const last = useRef<{ value: S }>(null);
  const snapshot = useMemo(() => {
    let seen: All<T> | undefined;
    let value: S;
    return () => {
      const all = rows.all();
      if (seen !== all) {
        seen = all;
        value = select(all);
        if (last.current && isEqual(last.current.value, value)) value = last.current.value;
        last.current = { value };
      }
      return value;
    };
  }, [rows, select, isEqual]);
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** A row, undefined if it does not exist; renders again when it changes. */
export function useRow<T extends object>(rows: Rows<T>, key: string): Readonly<T> | undefined {
  const subscribe = useCallback((notify: () => void) => rows.subscribe(notify, key), [rows, key]);
  const snapshot = (): Readonly<T> | undefined => rows.get(key);
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** The last refusal of each row, by key. */
export function useRowErrors<T extends object>(rows: Rows<T>): ReadonlyMap<string, Refusal> {
  const subscribe = useCallback((notify: () => void) => rows.subscribe(notify), [rows]);
  const snapshot = (): ReadonlyMap<string, Refusal> => rows.errors;
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** Status of a provider's connection. */
export interface ProviderStatus {
  /** Whether the document has all updates of the server. */
  synced: boolean;
  /** Number of local updates that are not stored yet. */
  unsaved: number;
  access: Access | undefined;
}

const EVENTS = ["status", "sync", "unsaved", "access"] as const;

/** The status of a provider; renders again when it changes. */
export function useProviderStatus(provider: CollabProvider): ProviderStatus {
  const last = useRef<ProviderStatus>(null);
  const subscribe = useCallback(
    (notify: () => void) => {
      for (const event of EVENTS) provider.on(event, notify);
      return () => EVENTS.forEach((event) => provider.off(event, notify));
    },
    [provider],
  );
  const snapshot = (): ProviderStatus => {
    const { synced, unsaved, access } = provider;
    const { current } = last;
    const isSame = current?.synced === synced && current.unsaved === unsaved;
    return isSame && current.access === access
      ? current
      : (last.current = { synced, unsaved, access });
  };
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** Status of a channel's connection. */
export interface ChannelStatus<R extends object> {
  connected: boolean;
  /** The connection's variables. */
  runtimeState: Readonly<Partial<R>>;
  /** The close code and reason of a final refusal. */
  ended: Ended | undefined;
}

/** Status of a channel's connection, and its state; undefined before it is received. */
export interface ChannelState<S, R extends object> extends ChannelStatus<R> {
  state: S | undefined;
}

/** The connection and the runtime state of a channel; renders again when one of them changes. */
export function useChannel<R extends object>(channel: LiveChannel<R>): ChannelStatus<R> {
  return useObserved(channel, ({ connected, runtimeState, ended }) => ({
    connected,
    runtimeState,
    ended,
  }));
}

/** The state of a channel and its connection; renders again when one of them changes. */
export function useChannelState<S, R extends object, T extends object>(
  channel: StateChannel<S, R, T>,
): ChannelState<S, R> {
  return useObserved(channel, ({ state, connected, runtimeState, ended }) => ({
    state,
    connected,
    runtimeState,
    ended,
  }));
}

/** An object in the state of a channel; renders again when it, or a nested object, changes. */
export function useChannelInstance<
  S,
  R extends object,
  T extends object,
  K extends keyof T & string,
>(channel: StateChannel<S, R, T>, type: K, key: Key): T[K] | undefined {
  const subscribe = useCallback((notify: () => void) => channel.observe(notify), [channel]);
  const snapshot = (): T[K] | undefined => channel.instance(type, key);
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** The result of `read` for a channel; the same object until one of its values changes. */
function useObserved<C extends LiveChannel<R>, R extends object, V extends object>(
  channel: C,
  read: (channel: C) => V,
): V {
  const last = useRef<V>(null);
  const subscribe = useCallback((notify: () => void) => channel.observe(notify), [channel]);
  const snapshot = (): V => {
    const now = read(channel);
    const { current } = last;
    return current && alike(Object.values(current), Object.values(now))
      ? current
      : (last.current = now);
  };
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** Return whether two values, or the items of two arrays, are identical; unchanged rows are. */
function alike(one: unknown, other: unknown): boolean {
  if (!Array.isArray(one) || !Array.isArray(other)) return Object.is(one, other);
  return one.length === other.length && one.every((item, index) => Object.is(item, other[index]));
}
