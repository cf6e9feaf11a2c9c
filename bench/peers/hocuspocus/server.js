// Hocuspocus without storage, on the port in $PORT.
import { Server } from "@hocuspocus/server";

const server = new Server({ quiet: true, address: "127.0.0.1", port: Number(process.env.PORT) });
await server.listen();
