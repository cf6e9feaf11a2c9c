/** Cursors in shared texts, as presence has them. */
import type { Awareness } from "y-protocols/awareness";
import {
  createAbsolutePositionFromRelativePosition,
  createRelativePositionFromTypeIndex,
  type AbsolutePosition,
  type Doc,
  type RelativePosition,
  type Text,
} from "yjs";

import { personOf, type Person } from "./person.js";

export interface Cursor {
  client: number;
  person: Person;
  anchor: number;
  head: number;
}

/** Return the cursors of the others in a text. */
export function cursorsIn(text: Text, awareness: Awareness): Cursor[] {
  const found: Cursor[] = [];
  for (const [client, state] of awareness.getStates()) {
    const cursor: unknown = state["cursor"];
    if (client === awareness.clientID || !cursor) continue;
    const { anchor, head } = cursor as Record<string, unknown>;
    const places = [placeIn(text, anchor), placeIn(text, head)] as const;
    if (places[0] === undefined || places[1] === undefined) continue;
    found.push({ client, person: personOf(state), anchor: places[0], head: places[1] });
  }
  return found;
}

/** Return a place of a document; null if it is none: clients may send anything. */
export function resolved(doc: Doc | null, place: unknown): AbsolutePosition | null {
  try {
    return doc && createAbsolutePositionFromRelativePosition(place as RelativePosition, doc);
  } catch {
    return null;
  }
}

/** Return the index of a place; undefined if it is in another text, or is none. */
function placeIn(text: Text, place: unknown): number | undefined {
  const found = resolved(text.doc, place);
  return found?.type === text ? found.index : undefined;
}

/** Publish the own cursor; without a selection, end one in this text. */
export function publishCursor(
  text: Text,
  awareness: Awareness,
  selection: { anchor: number; head: number } | undefined,
): void {
  if (!selection) {
    const own: unknown = awareness.getLocalState()?.["cursor"];
    if (own && placeIn(text, (own as Record<string, unknown>)["head"]) !== undefined) {
      awareness.setLocalStateField("cursor", null);
    }
    return;
  }
  const cursor = {
    anchor: createRelativePositionFromTypeIndex(text, selection.anchor),
    head: createRelativePositionFromTypeIndex(text, selection.head),
  };
  const before: unknown = awareness.getLocalState()?.["cursor"];
  if (JSON.stringify(before) === JSON.stringify(cursor)) return;
  awareness.setLocalStateField("cursor", cursor);
}
