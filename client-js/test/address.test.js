import assert from "node:assert/strict";
import { test } from "node:test";

import { serverUrl, target } from "../dist/address.js";

const URL_ = "wss://example.com/ws";

test("a token is sent in the query, a subprotocol or the first frame", async () => {
  const token = () => Promise.resolve("secret");
  assert.deepEqual(await target(URL_, ["collab"], { token, params: { lang: "en" } }), {
    url: `${URL_}?lang=en&token=secret`,
    protocols: ["collab"],
    frames: [],
  });
  assert.deepEqual(await target(URL_, ["collab"], { token, tokenIn: "subprotocol" }), {
    url: URL_,
    protocols: ["collab", "token.secret"],
    frames: [],
  });
  assert.deepEqual(await target(URL_, ["collab"], { token, tokenIn: "frame" }), {
    url: URL_,
    protocols: ["collab"],
    frames: ['{"token":"secret"}'],
  });
});

test("without a token nothing is added", async () => {
  for (const tokenIn of ["query", "subprotocol", "frame"]) {
    const expected = { url: URL_, protocols: ["collab"], frames: [] };
    assert.deepEqual(await target(URL_, ["collab"], { tokenIn }), expected);
  }
});

test("a path is of the server that is named, of the page's, or of none", () => {
  assert.equal(serverUrl("/ws/chat/", "https://example.com"), "wss://example.com/ws/chat/");
  assert.equal(serverUrl("wss://example.com/ws/chat/"), "wss://example.com/ws/chat/");
  assert.throws(() => serverUrl("/ws/chat/"), /\/ws\/chat\/ needs the option "server"/);
});
