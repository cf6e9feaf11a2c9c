/** The provider that docs/from-hocuspocus.md sets up, against the project that the page makes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { HocuspocusProvider, HocuspocusProviderWebsocket } from "@hocuspocus/provider";
import { WebSocket } from "ws";

import { until } from "../../client-js/test/server.js";
import { isStored, textOf, write } from "./hocuspocus.js";

const { address, token } = JSON.parse(process.env.PROJECT);

/** A websocket of a page of the site. */
class PageSocket extends WebSocket {
  constructor(url) {
    super(url, { origin: `http://${address}` });
  }
}

test("the front end changes a URL", async (t) => {
  const open = (name, given) => {
    const socket = new HocuspocusProviderWebsocket({
      url: `ws://${address}/collaboration`,
      WebSocketPolyfill: PageSocket,
    });
    t.after(() => socket.destroy());
    const provider = new HocuspocusProvider({ websocketProvider: socket, name, token: given });
    provider.attach();
    t.after(() => provider.destroy());
    return provider;
  };
  const [a, b] = [open("notes/5", token), open("notes/5", () => token)];
  await until(() => isStored(a) && isStored(b));
  write(a, "moved");
  await until(() => textOf(b) === "moved" && isStored(a));
  const heard = [];
  b.on("stateless", ({ payload }) => heard.push(payload));
  a.sendStateless("comments changed");
  await until(() => heard.length);
  const refused = [];
  open("notes/6", "wrong").on("authenticationFailed", ({ reason }) => refused.push(reason));
  await until(() => refused.length);
  assert.deepEqual(refused, ["The token is not valid."]);
});
