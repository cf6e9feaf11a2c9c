import * as Y from "yjs";

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
    return (await (await this.#ask("GET", query)).json()) as VersionList;
  }

  /** Make a version; with a title it is never thinned out. */
  async create(title = ""): Promise<DocumentVersion> {
    return (await (await this.#ask("POST", "", { title })).json()) as DocumentVersion;
  }

  /** Return the state of a version as a Yjs update. */
  async state(id: number): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await (await this.#ask("GET", `${String(id)}/state`)).arrayBuffer());
  }

  /** Restore a version: all members see it as an edit. Return the version of the content before. */
  async restore(id: number): Promise<DocumentVersion> {
    return (await (await this.#ask("POST", `${String(id)}/restore`, {})).json()) as DocumentVersion;
  }

  async rename(id: number, title: string): Promise<void> {
    await this.#ask("PATCH", `${String(id)}/`, { title });
  }

  async remove(id: number): Promise<void> {
    await this.#ask("DELETE", `${String(id)}/`);
  }

  async #ask(method: string, path: string, body?: object): Promise<Response> {
    const headers: Record<string, string> = { ...(await current(this.#options.headers ?? {})) };
    if (method !== "GET") {
      const token = await current(this.#options.csrfToken ?? (() => cookie("csrftoken") ?? ""));
      if (token) headers["X-CSRFToken"] = token;
    }
    if (body) headers["Content-Type"] = "application/json";
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers,
      credentials: "same-origin",
      ...(body && { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(await problem(response));
    return response;
  }
}

/**
 * Return endpoints for BlockNote's `VersioningExtension`; its Yjs adapter reads updates in their
 * second encoding.
 *
 * The server restores, and the editor gets the content as an edit of the document: give the
 * extension a preview controller whose `applyRestore` only ends the preview.
 */
export function createVersioning(url: string, options: VersioningOptions = {}) {
  const versions = new Versions(url, options);
  const content = async (snapshot: SnapshotReference) =>
    Y.convertUpdateFormatV1ToV2(await versions.state(numberOf(snapshot)));
  return {
    list: async (): Promise<VersionSnapshot[]> => (await versions.list()).versions.map(snapshotOf),
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
