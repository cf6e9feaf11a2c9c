import type { LiveChannel, SubscribeOptions, Subscription } from "./channel.js";
import type { Key } from "./tree.js";

declare const shown: unique symbol;

/**
 * A model whose rows may be watched; made by `manage.py makefrontend`.
 *
 * @typeParam T - what is seen of a row.
 * @typeParam F - what lists may be filtered by.
 */
export interface Model<T, F extends object = Record<string, unknown>> {
  /** As in `"notes.Task"`. */
  readonly label: string;
  /** There are no such values; TypeScript takes the types from here. */
  readonly [shown]?: (filter: F) => T;
}

interface Row<T> {
  id: Key;
  instance: T;
}

type Change<T> = Row<T> | { id: Key } | { instances: Row<T>[] };

/**
 * Watch a row: `handler` gets it, and again whenever it is another one; undefined if it is gone.
 *
 * Of consumers with the `SubscriptionMixin`. It goes on after reconnections.
 */
export function watch<T, F extends object>(
  channel: Pick<LiveChannel, "subscribe">,
  model: Model<T, F>,
  id: Key,
  handler: (row: T | undefined) => void,
  options: SubscribeOptions = {},
): Subscription {
  const tell = ({ data }: { data: Change<T> }): void => {
    handler("instance" in data ? data.instance : undefined);
  };
  return channel.subscribe("subscribe", { model: model.label, id }, tell, options);
}

/**
 * Watch the rows that a filter finds: `handler` gets all of them by their ids, and again whenever
 * one is another, has come or has gone. It is another Map each time.
 */
export function watchList<T, F extends object>(
  channel: Pick<LiveChannel, "subscribe">,
  model: Model<T, F>,
  filter: F,
  handler: (rows: ReadonlyMap<Key, T>) => void,
  options: SubscribeOptions = {},
): Subscription {
  let rows: ReadonlyMap<Key, T> = new Map();
  const tell = ({ data }: { data: Change<T> }): void => {
    rows = changed(rows, data);
    handler(rows);
  };
  return channel.subscribe("subscribe", { model: model.label, filter }, tell, options);
}

function changed<T>(rows: ReadonlyMap<Key, T>, change: Change<T>): ReadonlyMap<Key, T> {
  if ("instances" in change) {
    return new Map(change.instances.map(({ id, instance }) => [id, instance]));
  }
  const now = new Map(rows);
  if ("instance" in change) now.set(change.id, change.instance);
  else now.delete(change.id);
  return now;
}
