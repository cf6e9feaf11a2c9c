/** Compiled, never run: what users' code relies on stays typed. */
import { CloseCode, CollabProvider, type Access } from "django-collab";
import * as Y from "yjs";
import { WebsocketProvider } from "y-websocket";

const doc = new Y.Doc();
const provider = new CollabProvider("ws://localhost/ws", "room", doc, {
  params: async () => Promise.resolve({ share: "link" }),
  token: () => "secret",
  maxBackoffTime: 100,
});

provider.on("unsaved", (count: number) => count.toFixed());
provider.on("saved", ({ saved, sent }) => saved <= sent);
provider.on("access", (access: Access) => access === "write");
provider.on("closed", ({ code, reason }) => (code === CloseCode.FORBIDDEN ? reason : ""));
provider.on("status", ({ status }) => status === "connected");
provider.on("sync", (synced: boolean) => synced);
// @ts-expect-error: there is no such event.
provider.on("savd", () => undefined);
// @ts-expect-error: the count is a number.
provider.on("unsaved", (count: string) => count.trim());

// Editors and bindings take the stock provider.
const stock: WebsocketProvider = provider;
stock.connect();
