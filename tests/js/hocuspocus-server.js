/**
 * Hocuspocus' own server, with what the test application of ours has: tokens that say what a user
 * may do, messages that make the server do something, and documents that are stored, in files.
 */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Server } from "@hocuspocus/server";
import * as Y from "yjs";

const [port, directory, timeout] = process.argv.slice(2);
const file = (name) => join(directory, encodeURIComponent(name));

const check = (token) => {
  if (token.startsWith("forbidden")) throw Object.assign(new Error(), { reason: "Not for you." });
  if (token === "expired") {
    throw Object.assign(new Error(), { code: 4401, reason: "The token has expired." });
  }
};

const server = new Server({
  port: Number(port),
  quiet: true,
  timeout: Number(timeout),
  stopOnSignals: true,
  async onAuthenticate({ token, connectionConfig }) {
    check(token);
    connectionConfig.readOnly = token.startsWith("reader");
  },
  async onTokenSync({ token }) {
    check(token);
  },
  async onStateless({ payload, connection, document }) {
    if (payload === "close") connection.close({ code: 4000, reason: "Lunch." });
    else if (payload === "token") connection.requestToken();
    else if (payload.startsWith("all ")) document.broadcastStateless(payload.slice(4));
    else connection.sendStateless(`${document.name}: ${payload}`);
  },
  async onLoadDocument({ document, documentName }) {
    const update = await readFile(file(documentName)).catch(() => null);
    if (update) Y.applyUpdate(document, update);
  },
  async onStoreDocument({ document, documentName }) {
    await writeFile(file(documentName), Y.encodeStateAsUpdate(document));
  },
});
await server.listen();
process.send?.("ready");
