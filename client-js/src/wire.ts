/** Numbers on the wire, equal to the server's `collab/wire.py`; a test compares the two. */

/** Offered in the handshake by clients that understand close codes and JSON frames. */
export const SUBPROTOCOL = "collab";

/** Key in presence states that the server alone sets; no client can write it. */
export const VERIFIED = "verified";

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

/** Close codes; from 4400 on, connecting again is of no use. */
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

/** Access of a member; the connection of a refused one is closed. */
export type Access = "read" | "comment" | "write";

/** The shape of all JSON frames of the server: replies, and pushes without a request id. */
export interface Frame {
  action: string;
  request_id: number | null;
  data?: unknown;
  errors: string[];
  response_status: number;
}

/** Returns fields for a hello. */
export type HelloFields = () => Readonly<Record<string, unknown>>;

/** Return the first frame of a connection, after which the server sends JSON. */
export const hello = (helloFields: Iterable<HelloFields>): string =>
  JSON.stringify(
    Object.assign({ action: "hello", request_id: 1 }, ...[...helloFields].map((fields) => fields())),
  );

/** The server's answer to the `hello` of a connection. */
export interface Hello {
  access: Access;
  server: string;
  durable: boolean;
  /** Of the document's type, if it has one. */
  version?: number;
}

/** Changes of a document that the server refused and set back. */
export interface DocumentRefusal {
  /** Reasons by field; those of the whole document are under `""`. */
  fields: Record<string, string[]>;
  /** The reasons as sentences. */
  errors: string[];
  status: number;
}

/** A change of a row that the server refused and sets back. */
export interface Refusal {
  map: string;
  /** Of the row in the map. */
  key: string;
  /** Reasons by field; those of the whole row are under `""`. */
  fields: Record<string, string[]>;
  /** The refused values by field, so that nothing is lost. */
  values: Record<string, unknown>;
  /** The reasons as sentences. */
  errors: string[];
  /** 400 not valid, 403 not allowed, 404 no such row here, 409 changed too late. */
  status: number;
}

/** A number of refused changes of rows, too many to send one by one with their values. */
export interface OmittedRefusals {
  /** The number of all refused changes, including those sent; `null` if it is unknown. */
  refused: number | null;
  /** The reason as a sentence. */
  errors: string[];
  /** 400 too many at once, 409 made in a version of the document that is too old. */
  status: number;
}

/** A row created here that has a key in the database. */
export interface Created {
  map: string;
  /** Its first key. */
  key: string;
  /** Its key in the map from now on. */
  newKey: string;
}
