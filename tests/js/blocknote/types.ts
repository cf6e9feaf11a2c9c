// The endpoints have the type that BlockNote's extension takes; checked by TypeScript only.
import type { VersioningEndpoints } from "@blocknote/core/extensions";
import type { XmlFragment } from "yjs";

import { createVersioning } from "../../../client-js/src/versioning.js";

export const endpoints: VersioningEndpoints<XmlFragment, Uint8Array> = createVersioning("/history/a/versions/");
