import type { ValueOrGetter } from "./address.js";
import { current } from "./address.js";

/** A version of a document, as `collab.history.urls` describes it. */
export interface DocumentVersion {
  id: number;
  /** ISO time. */
  at: string;
  title: string;
  kind: "auto" | "named" | "restore" | "import" | "replace";
  /** Keys of the users who have changed the document since the version before. */
  by: string[];
  made_by: string | null;
  edits: number;
  restored_from: number | null;
}

/** The versions of a document, the newest first, and the names of their users by key. */
export interface VersionList {
  versions: DocumentVersion[];
  users: Record<string, string>;
  can_restore: boolean;
  /** Earlier ones follow with the time of the last. */
  has_more: boolean;
}

/** Client, first clock, clock behind the last, key of the user, and time of an insertion. */
export type AuthorRange = [number, number, number, string | null, string];

/** The authors of a document, and the names of the users by key. */
export interface Authors {
  shares: { user: string | null; inserted: number; deleted: number; last: string }[];
  ranges: AuthorRange[];
  users: Record<string, string>;
}

/** The differences of two states of a document; `docs/history.md` describes the changes. */
export interface Difference {
  changes: object[];
  /** The later state with the removed text, in `<ins>` and `<del>`. */
  html: string;
  /** Authors of added text: letters of the first have the class `author-0`, and so on. */
  authors: (string | null)[];
  users: Record<string, string>;
}

/** A request that was refused or has failed; without a status, the server was not reached. */
export class VersionsError extends Error {
  override readonly name = "VersionsError";

  constructor(
    message: string,
    readonly status?: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A version as BlockNote's `VersioningEndpoints` describe it. */
export interface VersionSnapshot {
  id: string;
  name?: string;
  createdAt: number;
  updatedAt: number;
  by?: string[];
}

/** A reference to a version that BlockNote may give; the id of its "current version" is a symbol. */
interface SnapshotReference {
  id: string | symbol;
}

export interface VersioningOptions {
  /** Sent with each request: an `Authorization` with a token, for example. */
  headers?: ValueOrGetter<Record<string, string>>;
  /** By default that of the cookie `csrftoken`. */
  csrfToken?: ValueOrGetter<string>;
}

/** Milliseconds after which a request has failed. */
const TIMEOUT = 60_000;

/** Versions of one document on the server. */
export class Versions {
  #url: string;
  #options: VersioningOptions;

  /** `url` is that of the document's versions: `/history/<name>/versions/`. */
  constructor(url: string, options: VersioningOptions = {}) {
    this.#url = url.endsWith("/") ? url : `${url}/`;
    this.#options = options;
  }

  /** Return the versions, the newest first; those before a time follow with `before`. */
  async list(before?: string): Promise<VersionList> {
    const query = before === undefined ? "" : `?before=${encodeURIComponent(before)}`;
    return (await this.#json("GET", query)) as VersionList;
  }

  /** Return all versions, the newest first. */
  async all(): Promise<DocumentVersion[]> {
    const found: DocumentVersion[] = [];
    let hasMore = true;
    while (hasMore) {
      const next = await this.list(found.at(-1)?.at);
      found.push(...next.versions);
      hasMore = next.has_more && next.versions.length > 0;
    }
    return found;
  }

  /** Make a version; with a title it is never thinned out. */
  async create(title = ""): Promise<DocumentVersion> {
    return (await this.#json("POST", "", { title })) as DocumentVersion;
  }

  /** Return the state of a version as a Yjs update. */
  async state(id: number): Promise<Uint8Array<ArrayBuffer>> {
    const response = await this.#ask("GET", `${String(id)}/state`);
    expectType(response, "octet-stream");
    return new Uint8Array(await response.arrayBuffer());
  }

  /** Restore a version: all members see it as an edit. Return the version of the content before. */
  async restore(id: number): Promise<DocumentVersion> {
    return (await this.#json("POST", `${String(id)}/restore`, {})) as DocumentVersion;
  }

  /** Return the authors of the document's text, and their shares. */
  async authors(): Promise<Authors> {
    return (await this.#json("GET", "../authors")) as Authors;
  }

  /** Compare a version with another, or with the present. */
  async compare(from: number, to?: number): Promise<Difference> {
    const query = to === undefined ? "" : `&to=${String(to)}`;
    return (await this.#json("GET", `../diff?from=${String(from)}${query}`)) as Difference;
  }

  async rename(id: number, title: string): Promise<void> {
    await this.#ask("PATCH", `${String(id)}/`, { title });
  }

  async remove(id: number): Promise<void> {
    await this.#ask("DELETE", `${String(id)}/`);
  }

  async #json(method: string, path: string, body?: object): Promise<unknown> {
    const response = await this.#ask(method, path, body);
    expectType(response, "json");
    return response.json();
  }

  async #ask(method: string, path: string, body?: object): Promise<Response> {
    const headers: Record<string, string> = { ...(await current(this.#options.headers ?? {})) };
    if (method !== "GET") {
      const token = await current(this.#options.csrfToken ?? (() => cookie("csrftoken") ?? ""));
      if (token) headers["X-CSRFToken"] = token;
    }
    if (body) headers["Content-Type"] = "application/json";
    let response: Response;
    try {
      response = await fetch(`${this.#url}${path}`, {
        method,
        headers,
        credentials: "same-origin",
        signal: AbortSignal.timeout(TIMEOUT),
        ...(body && { body: JSON.stringify(body) }),
      });
    } catch (error) {
      throw new VersionsError(`No answer from ${this.#url}${path}`, undefined, { cause: error });
    }
    if (!response.ok) throw new VersionsError(await problem(response), response.status);
    return response;
  }
}

/**
 * Return endpoints for BlockNote's `VersioningExtension`, whose adapter for Yjs 13 shows Yjs updates.
 *
 * The server restores, and the editor gets the content as an edit of the document: give the
 * extension a preview controller whose `applyRestore` only ends the preview.
 */
export function createVersioning(url: string, options: VersioningOptions = {}) {
  const versions = new Versions(url, options);
  const content = (snapshot: SnapshotReference): Promise<Uint8Array> =>
    versions.state(numberOf(snapshot));
  return {
    list: async (): Promise<VersionSnapshot[]> => (await versions.all()).map(snapshotOf),
    create: async (_content: unknown, options: { name?: string } = {}): Promise<VersionSnapshot> =>
      snapshotOf(await versions.create(options.name ?? new Date().toISOString())),
    restore: async (_document: unknown, snapshot: SnapshotReference): Promise<Uint8Array> => {
      await versions.restore(numberOf(snapshot));
      return content(snapshot);
    },
    getContent: (snapshot: SnapshotReference): Promise<Uint8Array> => content(snapshot),
    rename: (snapshot: SnapshotReference, name = ""): Promise<void> =>
      versions.rename(numberOf(snapshot), name),
    remove: (snapshot: SnapshotReference): Promise<void> => versions.remove(numberOf(snapshot)),
  };
}

function snapshotOf(version: DocumentVersion): VersionSnapshot {
  const at = Date.parse(version.at);
  return {
    id: String(version.id),
    createdAt: at,
    updatedAt: at,
    by: version.by,
    ...(version.title && { name: version.title }),
  };
}

function numberOf(snapshot: SnapshotReference): number {
  return Number(String(snapshot.id));
}

/** Refuse another answer, such as a page to log in that the request was led to. */
function expectType(response: Response, type: string): void {
  const found = response.headers.get("Content-Type") ?? "nothing";
  if (found.includes(type)) return;
  throw new VersionsError(`${response.url} answered with ${found}, not ${type}`, response.status);
}

function cookie(name: string): string | undefined {
  const cookies = typeof document === "undefined" ? "" : document.cookie;
  const found = cookies.split("; ").find((pair) => pair.startsWith(`${name}=`));
  return found?.slice(name.length + 1);
}

async function problem(response: Response): Promise<string> {
  const isJson = response.headers.get("Content-Type")?.includes("json");
  const detail = isJson ? ((await response.json()) as { detail?: string }).detail : undefined;
  return detail ?? `The server answered with ${String(response.status)} to ${response.url}`;
}
