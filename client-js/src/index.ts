export type { TokenPlace, ValueOrGetter } from "./address.js";
export { HistoryPanel } from "./history-panel.js";
export type { HistoryPanelOptions } from "./history-panel.js";
export { authorRuns } from "./authors.js";
export type { AuthorRun } from "./authors.js";
export { CollabProvider } from "./provider.js";
export type { CollabEvents, CollabOptions } from "./provider.js";
export { Rows, rows } from "./rows.js";
export type { RowsChange, RowsEvents, Values } from "./rows.js";
export { editText } from "./text.js";
export { createVersioning, Versions, VersionsError } from "./versioning.js";
export type {
  AuthorRange,
  Authors,
  Difference,
  DocumentVersion,
  VersioningOptions,
  VersionList,
  VersionSnapshot,
} from "./versioning.js";
export { CloseCode, MessageType, SUBPROTOCOL, SyncType, VERIFIED } from "./wire.js";
export type { Access, Created, DocumentRefusal, Frame, Hello, OmittedRefusals, Refusal } from "./wire.js";
