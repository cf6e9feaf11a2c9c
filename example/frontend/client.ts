/** The connection of a page or a board to its document. */
import { CollabProvider } from "django-collab";
import { IndexeddbPersistence } from "y-indexeddb";
import * as Y from "yjs";

import type { Person } from "./people.js";

/** What the server put into the page. */
interface Client {
  room: string;
  /** The token of the read-only link, if the page was opened with it. */
  share: string;
  me: Person;
}

export const client = JSON.parse(document.getElementById("client")!.textContent!) as Client;

/** A provider of the document, not connected yet: first the editors are to be there. */
export function createProvider(path: string): CollabProvider {
  const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}${path}`;
  const provider = new CollabProvider(url, client.room, new Y.Doc(), {
    connect: false,
    params: client.share ? { share: client.share } : {},
  });
  provider.awareness.setLocalStateField("user", client.me);
  return provider;
}

/** Connect; who may write has a copy in the browser, called `name`. */
export function connect(provider: CollabProvider, name: string): void {
  if (client.share) provider.connect();
  else connectWithLocalCopy(provider, name);
}

/** Edits made without a connection outlive the tab: the browser keeps them, too. */
function connectWithLocalCopy(provider: CollabProvider, name: string): void {
  const copy = new IndexeddbPersistence(name, provider.doc);
  provider.on("closed", () => void copy.clearData());
  // Connected only then: the server is asked for, and sent, no more than what is missing.
  void copy.whenSynced.then(() => provider.connect());
}
