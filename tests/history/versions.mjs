// Uses the versions of a document with the client package, and prints what it sees as JSON.
import * as Y from "yjs";

import { createVersioning, Versions } from "../../client-js/dist/versioning.js";

const [url, token] = process.argv.slice(2);
const options = { headers: () => ({ Authorization: `Token ${token}` }) };
const endpoints = createVersioning(url, options);
const versions = new Versions(url.replace(/\/$/, ""), options);

function content(update) {
  const doc = new Y.Doc();
  Y.applyUpdate(doc, update);
  return {
    text: doc.getText("text").toDelta(),
    map: doc.getMap("map").toJSON(),
    array: doc.getArray("array").toJSON(),
    xml: doc.getXmlFragment("xml").toString(),
  };
}

const [, first] = await endpoints.list();
const seen = { names: (await endpoints.list()).map(({ name }) => name ?? null) };
seen.preview = content(await endpoints.getContent(first));
seen.restored = content(await endpoints.restore(null, first));
const made = await endpoints.create(null, { name: "Made here" });
seen.present = content(await versions.state(Number(made.id)));
await endpoints.rename(made, "Named here");
const { versions: listed, users } = await versions.list();
seen.titles = listed.map(({ title, kind }) => title || kind);
seen.users = Object.values(users);
await endpoints.remove(made);
await endpoints.remove(made).catch((error) => (seen.error = error.message));
const [last] = (await versions.list(listed[1].at)).versions;
seen.earlier = last.title;
await new Versions(url).list().catch((error) => (seen.refused = error.message));
process.stdout.write(JSON.stringify(seen));
