/** The connection of a page or a board to its document. */
import { CollabProvider } from "django-collab";
import { IndexeddbPersistence } from "y-indexeddb";
import * as Y from "yjs";

import type { Person } from "./people.js";

/** Data from the server, in the page. */
interface Client {
  room: string;
  /** The token of the read-only link, if the page was opened with it. */
  share: string;
  me: Person;
}

export const client = JSON.parse(document.getElementById("client")!.textContent!) as Client;

/** The structure of documents that these pages know: `PageDocument.version`. */
const VERSION = 1;

/** A provider of the document, which connects once the editors exist. */
export function createProvider(path: string): CollabProvider {
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
  const provider = new CollabProvider(url, client.room, new Y.Doc(), {
    connect: false,
    version: VERSION,
    params: client.share ? { share: client.share } : {},
  });
  provider.awareness.setLocalStateField("user", client.me);
  return provider;
}

/** Connect, with a local copy called `name` for users who may write. */
export function connect(provider: CollabProvider, name: string): void {
  if (client.share) provider.connect();
  else connectWithLocalCopy(provider, name);
}

/** Whether a close code means that the user may not open the document. */
export const isDenied = (code: number): boolean => code >= 4400;

/** Keep the document in the browser, so that offline edits outlive the tab. */
function connectWithLocalCopy(provider: CollabProvider, name: string): void {
  const copy = new IndexeddbPersistence(name, provider.doc);
  // A copy that the server refuses because of its size has the only version of the changes.
  provider.on("closed", ({ code }) => isDenied(code) && void copy.clearData());
  // Connect afterwards, so that only missing updates are exchanged.
  void copy.whenSynced.then(() => provider.connect());
}
