// Hocuspocus on the port in $PORT, with its documents in the SQLite file $DATABASE if that is set.
import { Database } from "@hocuspocus/extension-database";
import { Server } from "@hocuspocus/server";

async function sqlite(file) {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(file);
  database.exec("PRAGMA journal_mode = WAL");
  database.exec("CREATE TABLE IF NOT EXISTS documents (name TEXT PRIMARY KEY, data BLOB NOT NULL)");
  const select = database.prepare("SELECT data FROM documents WHERE name = ?");
  const upsert = database.prepare(
    "INSERT INTO documents VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET data = excluded.data",
  );
  return new Database({
    fetch: async ({ documentName }) => select.get(documentName)?.data ?? null,
    store: async ({ documentName, state }) => void upsert.run(documentName, state),
  });
}

const { DATABASE, PORT } = process.env;
const server = new Server({
  quiet: true,
  address: "127.0.0.1",
  port: Number(PORT),
  extensions: DATABASE ? [await sqlite(DATABASE)] : [],
});
await server.listen();
