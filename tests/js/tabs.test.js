/** Two tabs of one browser, which exchange changes with each other and not only with the server. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { newRoom, until } from "../../client-js/test/server.js";

import { y3 } from "./clients.js";

// Reserved for a server of the test, of which there is none.
const NOWHERE = `ws://127.0.0.1:${process.env.COLLAB_TEST_PORTS?.split(",")[0]}`;

test("what a tab builds upon changes of one that is offline is stored, and both are", async (t) => {
  const room = newRoom();
  const [offline, online] = [1, 2].map(() => y3.open(t, room, "ws", { disableBc: false }));
  const other = y3.open(t, room);
  await until(() => [offline, online, other].every(({ provider }) => provider.synced));
  offline.write("together, ");
  await until(() => other.text === "together, " && online.text === other.text);

  offline.provider.serverUrl = NOWHERE;
  offline.provider.ws.close();
  await until(() => !offline.provider.wsconnected);
  offline.write("offline, ");
  await until(() => online.text === "together, offline, ");
  // The tab that is online does not send changes of the other one by itself.
  assert.equal(other.text, "together, ");
  online.write("online");
  await until(() => other.text === "together, offline, online");

  offline.end();
  online.end();
  const newcomer = y3.open(t, room);
  await until(() => newcomer.text === "together, offline, online");
});
