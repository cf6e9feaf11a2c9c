/** The page with the text: an editor, and around it what the provider knows. */
import { CollabProvider } from "django-collab";
import { IndexeddbPersistence } from "y-indexeddb";
import * as Y from "yjs";

import { showPeople, type Person } from "./people.js";
import { setUpShare } from "./share.js";
import { showStatus } from "./status.js";
import { createEditor } from "./text.js";
import { setUpTitle } from "./title.js";
import { setUpToolbar } from "./toolbar.js";

/** What the server put into the page. */
interface Client {
  room: string;
  /** The token of the read-only link, if the page was opened with it. */
  share: string;
  me: Person;
}

const client = JSON.parse(document.getElementById("client")!.textContent!) as Client;
const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`;

const doc = new Y.Doc();
const provider = new CollabProvider(url, client.room, doc, {
  connect: false,
  params: client.share ? { share: client.share } : {},
});
provider.awareness.setLocalStateField("user", client.me);

const editor = createEditor(document.getElementById("text")!, doc, provider, client.me);
editor.setEditable(!client.share);
provider.on("access", (access) => editor.setEditable(access === "write"));
provider.on("closed", () => editor.setEditable(false));

showStatus(document.getElementById("status")!, provider);
showPeople(document.getElementById("people")!, provider.awareness);
setUpToolbar(document.getElementById("toolbar"), editor);
setUpTitle(document.getElementById("title"), doc, editor);
setUpShare(document.getElementById("share"));

if (client.share) provider.connect();
else connectWithLocalCopy();

/** Edits made without a connection outlive the tab: the browser keeps them, too. */
function connectWithLocalCopy(): void {
  const copy = new IndexeddbPersistence(`pages/${client.room}`, doc);
  provider.on("closed", () => void copy.clearData());
  // Connected only then: the server is asked for, and sent, no more than what is missing.
  void copy.whenSynced.then(() => provider.connect());
}
