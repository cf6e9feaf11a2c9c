// @y/websocket-server with its documents in the LevelDB directory $YPERSISTENCE. Its README names
// that variable, but this release does not read it: it takes what follows, which is what releases
// did that read it.
import { setPersistence } from "@y/websocket-server/utils";
import { LeveldbPersistence } from "y-leveldb";
import * as Y from "yjs";

const provider = new LeveldbPersistence(process.env.YPERSISTENCE);

async function bindState(name, doc) {
  const stored = await provider.getYDoc(name);
  provider.storeUpdate(name, Y.encodeStateAsUpdate(doc));
  Y.applyUpdate(doc, Y.encodeStateAsUpdate(stored));
  doc.on("update", (update) => provider.storeUpdate(name, update));
}

// By itself this signal would end the process while updates wait to be written.
process.once("SIGTERM", async () => {
  await provider.destroy();
  process.exit();
});

setPersistence({ provider, bindState, writeState: async () => {} });
await import("@y/websocket-server/server");
