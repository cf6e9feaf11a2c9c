/** Numbers on the wire; the server's `collab/wire.py` lists the same, and a test compares the two. */

/** Offered at the handshake: this client understands close codes and JSON frames. */
export const SUBPROTOCOL = "collab";

/** First varuint of a binary frame. */
export const MessageType = {
  SYNC: 0,
  AWARENESS: 1,
  AUTH: 2,
  QUERY_AWARENESS: 3,
} as const;

/** Second varuint of a sync frame. */
export const SyncType = {
  STEP1: 0,
  STEP2: 1,
  UPDATE: 2,
} as const;

/** Why the server ended a connection; from 4400 on there is no use in connecting again. */
export const CloseCode = {
  NORMAL: 1000,
  PROTOCOL_VIOLATION: 1008,
  TOO_BIG: 1009,
  INTERNAL: 1011,
  RESTART: 1012,
  TRY_LATER: 1013,
  UNAUTHENTICATED: 4401,
  FORBIDDEN: 4403,
  NOT_FOUND: 4404,
} as const;

/** What a member may do; a refused one is never told its access, its connection closes. */
export type Access = "read" | "write";

/** One shape for all JSON frames from the server: replies, and pushes with no request id. */
export interface Frame {
  action: string;
  request_id: number | null;
  data?: unknown;
  errors: string[];
  response_status: number;
}

/** Returns what a hello is to say. */
export type Greeting = () => Readonly<Record<string, unknown>>;

/** The first frame of a connection: the server sends JSON from then on. */
export const hello = (greetings: Iterable<Greeting>): string =>
  JSON.stringify(
    Object.assign({ action: "hello", request_id: 1 }, ...[...greetings].map((greet) => greet())),
  );

/** Answer to the `hello` that the provider sends on each connection. */
export interface Hello {
  access: Access;
  server: string;
  durable: boolean;
}

/** A change of a row that the server did not take; it has set it back, or will in a moment. */
export interface Refusal {
  map: string;
  /** Of the row in the map. */
  key: string;
  /** Why, by field; what concerns the whole row is under `""`. */
  fields: Record<string, string[]>;
  /** What was written, by field, so that nothing is lost. */
  values: Record<string, unknown>;
  /** Each reason in a sentence. */
  errors: string[];
  /** 400 not valid, 403 not allowed, 404 no such row here, 409 changed too late. */
  status: number;
}

/** Changes of rows that the server did not take, without the values: of each it would be too much. */
export interface Untold {
  /** How many there are, those included that were told one by one; `null` if nobody knows. */
  refused: number | null;
  /** The reason in a sentence. */
  errors: string[];
  /** 400 too many at once, 409 made in a version of the document that is too old. */
  status: number;
}

/** A row that was made here is in the database, where it has a key of its own. */
export interface Created {
  map: string;
  /** The key it was made with. */
  key: string;
  /** The key that it has in the map from now on. */
  newKey: string;
}
