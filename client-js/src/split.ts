/** Splits updates that are larger than a frame. */
import * as encoding from "lib0/encoding";
import * as decoding from "lib0/decoding";
import { ID, Item, UpdateEncoderV1, createID, decodeUpdate, type AbstractStruct } from "yjs";

import { MessageType, SyncType } from "./wire.js";

/** Bytes for the beginning of a frame, an update, and the structs of a client. */
const OVERHEAD = 64;

/**
 * Split a sync frame whose update is larger than `limit` bytes.
 *
 * Each part can be integrated as soon as the parts before it are. Only a single value that is larger
 * than the limit, such as a binary one, stays in one part.
 */
export function splitFrame(frame: Uint8Array<ArrayBuffer>, limit: number): Uint8Array<ArrayBuffer>[] {
  const kind = frame[1];
  const hasUpdate = frame[0] === MessageType.SYNC && kind !== SyncType.STEP1;
  if (frame.length <= limit || !hasUpdate || kind === undefined) return [frame];
  const decoder = decoding.createDecoder(frame);
  decoder.pos = 2;
  const updates = splitUpdate(decoding.readVarUint8Array(decoder), limit - OVERHEAD);
  return updates.map((update, index) =>
    // The last one stands for the whole frame.
    syncFrame(index === updates.length - 1 ? kind : SyncType.UPDATE, update),
  );
}

function syncFrame(kind: number, update: Uint8Array): Uint8Array<ArrayBuffer> {
  const encoder = encoding.createEncoder();
  encoding.writeVarUint(encoder, MessageType.SYNC);
  encoding.writeVarUint(encoder, kind);
  encoding.writeVarUint8Array(encoder, update);
  return encoding.toUint8Array(encoder);
}

/** Split an update into several of about `limit` bytes, in causal order. */
export function splitUpdate(update: Uint8Array, limit: number): Uint8Array<ArrayBuffer>[] {
  const { structs, ds } = decodeUpdate(update);
  const parts = new Parts(limit);
  for (const struct of inCausalOrder(structs)) parts.addStruct(struct);
  // Deletions come last: they need the structs that they delete.
  for (const [client, ranges] of ds.clients) {
    for (const { clock, len } of ranges) parts.addDeletion(client, clock, len);
  }
  return parts.finish();
}

/** Yield structs so that each comes after those it refers to. */
function* inCausalOrder(structs: readonly AbstractStruct[]): Generator<AbstractStruct> {
  const queues = new Map<number, AbstractStruct[]>();
  // Reversed, so that the next one is at the end.
  for (const struct of structs.toReversed()) {
    const queue = queues.get(struct.id.client) ?? [];
    queues.set(struct.id.client, queue);
    queue.push(struct);
  }
  const isLater = ({ client, clock }: ID): boolean => {
    const next = queues.get(client)?.at(-1);
    return next !== undefined && clock >= next.id.clock;
  };
  for (let isStuck = false; !isStuck; ) {
    isStuck = true;
    for (const queue of queues.values()) {
      for (let next = queue.at(-1); next && !references(next).some(isLater); next = queue.at(-1)) {
        isStuck = false;
        queue.pop();
        yield next;
      }
    }
  }
  // Structs that refer to each other in a circle; the server refuses or holds them.
  for (const queue of queues.values()) yield* queue.toReversed();
}

function references(struct: AbstractStruct): ID[] {
  if (!(struct instanceof Item)) return [];
  const { origin, rightOrigin, parent } = struct;
  return [origin, rightOrigin, parent].filter((reference) => reference instanceof ID);
}

interface Structs {
  clock: number;
  count: number;
  encoder: encoding.Encoder;
}

class Parts {
  readonly #limit: number;
  readonly #parts: Uint8Array<ArrayBuffer>[] = [];
  #structs = new Map<number, Structs>();
  #deletions = new Map<number, [number, number][]>();
  #size = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  addStruct(struct: AbstractStruct): void {
    const bytes = encoded(struct);
    const right = bytes.length > this.#limit ? split(struct) : undefined;
    if (right) {
      this.addStruct(struct);
      this.addStruct(right);
      return;
    }
    this.#reserve(bytes.length);
    const { client, clock } = struct.id;
    const structs = this.#structs.get(client) ?? { clock, count: 0, encoder: encoding.createEncoder() };
    this.#structs.set(client, structs);
    structs.count += 1;
    encoding.writeUint8Array(structs.encoder, bytes);
  }

  addDeletion(client: number, clock: number, length: number): void {
    this.#reserve(20);
    const ranges = this.#deletions.get(client) ?? [];
    this.#deletions.set(client, ranges);
    ranges.push([clock, length]);
  }

  finish(): Uint8Array<ArrayBuffer>[] {
    this.#flush();
    return this.#parts;
  }

  #reserve(size: number): void {
    if (this.#size > 0 && this.#size + size > this.#limit) this.#flush();
    this.#size += size;
  }

  #flush(): void {
    const encoder = encoding.createEncoder();
    encoding.writeVarUint(encoder, this.#structs.size);
    for (const [client, { clock, count, encoder: structs }] of this.#structs) {
      for (const number of [count, client, clock]) encoding.writeVarUint(encoder, number);
      encoding.writeUint8Array(encoder, encoding.toUint8Array(structs));
    }
    encoding.writeVarUint(encoder, this.#deletions.size);
    for (const [client, ranges] of this.#deletions) {
      for (const number of [client, ranges.length, ...ranges.flat()]) {
        encoding.writeVarUint(encoder, number);
      }
    }
    this.#parts.push(encoding.toUint8Array(encoder));
    this.#structs = new Map();
    this.#deletions = new Map();
    this.#size = 0;
  }
}

function encoded(struct: AbstractStruct): Uint8Array {
  const encoder = new UpdateEncoderV1();
  // The last argument is for version 2 of the format.
  struct.write(encoder, 0, 0);
  return encoder.toUint8Array();
}

/** Halve an item; return its right half, or undefined if it cannot be halved. */
function split(struct: AbstractStruct): Item | undefined {
  if (!(struct instanceof Item) || struct.length < 2 || !struct.content.isCountable()) return undefined;
  const { id, rightOrigin, parent, parentSub, content, length } = struct;
  const text = "str" in content ? (content.str as string) : "";
  const half = length >> 1;
  // Both halves of a surrogate pair stay together.
  const at = isHigh(text.charCodeAt(half - 1)) ? half + 1 : half;
  if (at === length) return undefined;
  const right = content.splice(at);
  struct.length = at;
  const origin = createID(id.client, id.clock + at - 1);
  const rightId = createID(id.client, id.clock + at);
  return new Item(rightId, null, origin, null, rightOrigin, parent, parentSub, right);
}

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;
