/** React hooks on rows and channels; the only module here that needs React. */
import { useCallback, useMemo, useRef, useSyncExternalStore } from "react";

import type { LiveChannel } from "./channel.js";
import type { Ended } from "./line.js";
import type { CollabProvider } from "./provider.js";
import type { Rows } from "./rows.js";
import type { StateChannel } from "./state.js";
import type { Key } from "./tree.js";
import type { Access, Refusal } from "./wire.js";

type All<T> = ReadonlyMap<string, Readonly<T>>;

/** All rows by key; rendered anew when any of them changes. */
export function useRows<T extends object>(rows: Rows<T>): All<T>;
/** What `select` makes of all rows; rendered anew when that is not equal to what it was. */
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
  const subscribe = useCallback((told: () => void) => rows.subscribe(told), [rows]);
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

/** One row, undefined if there is none; rendered anew when it changes. */
export function useRow<T extends object>(rows: Rows<T>, key: string): Readonly<T> | undefined {
  const subscribe = useCallback((told: () => void) => rows.subscribe(told, key), [rows, key]);
  const snapshot = (): Readonly<T> | undefined => rows.get(key);
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** What the server refused of each row last, by key. */
export function useRowErrors<T extends object>(rows: Rows<T>): ReadonlyMap<string, Refusal> {
  const subscribe = useCallback((told: () => void) => rows.subscribe(told), [rows]);
  const snapshot = (): ReadonlyMap<string, Refusal> => rows.errors;
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** What a provider knows of its connection. */
export interface ProviderStatus {
  /** Whether it has all that the server has. */
  synced: boolean;
  /** Local updates that are not stored yet. */
  unsaved: number;
  access: Access | undefined;
}

const EVENTS = ["status", "sync", "unsaved", "access"] as const;

/** Whether all is there, how much is not saved, and what the user may do. */
export function useProviderStatus(provider: CollabProvider): ProviderStatus {
  const last = useRef<ProviderStatus>(null);
  const subscribe = useCallback(
    (told: () => void) => {
      for (const event of EVENTS) provider.on(event, told);
      return () => EVENTS.forEach((event) => provider.off(event, told));
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

/** What a channel knows of its connection. */
export interface ChannelStatus<R extends object> {
  connected: boolean;
  /** The variables of the connection. */
  runtimeState: Readonly<Partial<R>>;
  /** Why the server has refused for good. */
  ended: Ended | undefined;
}

/** What a channel knows of its connection, and its state; undefined until it has come. */
export interface ChannelState<S, R extends object> extends ChannelStatus<R> {
  state: S | undefined;
}

/** The connection and the runtime state of a channel; rendered anew when one of them changes. */
export function useChannel<R extends object>(channel: LiveChannel<R>): ChannelStatus<R> {
  return useObserved(channel, ({ connected, runtimeState, ended }) => ({
    connected,
    runtimeState,
    ended,
  }));
}

/** The state of a channel and its connection; rendered anew when something of it changes. */
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

/** One object in the state of a channel; rendered anew when it, or what is nested in it, changes. */
export function useChannelInstance<
  S,
  R extends object,
  T extends object,
  K extends keyof T & string,
>(channel: StateChannel<S, R, T>, type: K, key: Key): T[K] | undefined {
  const subscribe = useCallback((told: () => void) => channel.observe(told), [channel]);
  const snapshot = (): T[K] | undefined => channel.instance(type, key);
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** What `read` makes of a channel; the same object as long as all that is in it is the same. */
function useObserved<C extends LiveChannel<R>, R extends object, V extends object>(
  channel: C,
  read: (channel: C) => V,
): V {
  const last = useRef<V>(null);
  const subscribe = useCallback((told: () => void) => channel.observe(told), [channel]);
  const snapshot = (): V => {
    const now = read(channel);
    const { current } = last;
    return current && alike(Object.values(current), Object.values(now))
      ? current
      : (last.current = now);
  };
  return useSyncExternalStore(subscribe, snapshot, snapshot);
}

/** The same, or arrays of the same: rows that have not changed are the same objects. */
function alike(one: unknown, other: unknown): boolean {
  if (!Array.isArray(one) || !Array.isArray(other)) return Object.is(one, other);
  return one.length === other.length && one.every((item, index) => Object.is(item, other[index]));
}
