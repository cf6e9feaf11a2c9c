import assert from "node:assert/strict";
import { afterEach, test } from "node:test";

import { address, newRoom, tell, until } from "../../client-js/test/server.js";
import { y3 } from "./clients.js";
import { VERSIONS, isStored, openDocument, openSocket, textOf, write } from "./hocuspocus.js";

afterEach(() => tell("unlock"));

const url = () => address("hocuspocus");

for (const version of VERSIONS) {
  test(`${version[0]} and y-websocket converge in one document`, async (t) => {
    const name = `shared/${newRoom()}`;
    const ours = openDocument(t, version, openSocket(t, version, url()), name);
    const theirs = y3.open(t, name);
    await until(() => ours.synced && theirs.provider.synced);
    for (let turn = 0; turn < 50; turn += 1) {
      write(ours, `a${turn} `);
      theirs.write(`b${turn} `);
    }
    await until(() => theirs.text === textOf(ours) && theirs.text.includes("a49"));
    await until(() => theirs.text.includes("b49") && isStored(ours));
  });

  test(`${version[0]} hears that its changes are stored when they are, not before`, async (t) => {
    const name = `shared/${newRoom()}`;
    const writer = openDocument(t, version, openSocket(t, version, url()), name);
    const reader = openDocument(t, version, openSocket(t, version, url()), name);
    await until(() => isStored(writer) && isStored(reader));
    await tell("lock");
    write(writer, "first ");
    write(writer, "second");
    await until(() => textOf(reader) === "first second");
    // What the reader sends now reaches the writer behind all that the server sent it before.
    write(reader, "!");
    await until(() => textOf(writer) === "first second!");
    assert.equal(writer.unsyncedChanges, 2);
    await tell("unlock");
    await until(() => isStored(writer) && isStored(reader));
  });
}
