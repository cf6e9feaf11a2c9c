export { CollabProvider } from "./provider.js";
export type { CollabEvents, CollabOptions, Fresh } from "./provider.js";
export { CloseCode, MessageType, SUBPROTOCOL, SyncType } from "./wire.js";
export type { Access, Frame, Hello } from "./wire.js";
