/** People as presence has them: whatever other clients have sent. */
import type { Awareness } from "y-protocols/awareness";

import { VERIFIED } from "../wire.js";

export interface Person {
  name: string;
  color: string;
  id: string;
}

const MAX_NAME = 60;
const NEUTRAL = "#475569";
const COLOR = /^#[0-9a-f]{6}$/i;
/** Controls, and marks that turn the direction of what follows. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const objectOf = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};

/**
 * Return the person of a presence state, safe to be shown. What the server vouches for wins over
 * what the client says.
 */
export function personOf(state: unknown): Person {
  const { user, [VERIFIED]: verified } = objectOf(state);
  const given = { ...objectOf(user), ...objectOf(verified) };
  const text = (key: string): string => {
    const found = given[key];
    return typeof found === "string" || typeof found === "number" ? String(found) : "";
  };
  const name = text("name").replace(UNPRINTABLE, "").trim().slice(0, MAX_NAME);
  const color = text("color");
  return { name: name || "?", color: COLOR.test(color) ? color : NEUTRAL, id: text("id") };
}

/** Return the people that are present, the own one first, each once whatever its tabs. */
export function present(awareness: Awareness): Person[] {
  const others = [...awareness.getStates().keys()].filter((id) => id !== awareness.clientID);
  const people = new Map<string, Person>();
  for (const client of [awareness.clientID, ...others]) {
    const state = awareness.getStates().get(client);
    if (!state?.["user"]) continue;
    const person = personOf(state);
    const key = `${person.id}\n${person.name}`;
    if (!people.has(key)) people.set(key, person);
  }
  return [...people.values()];
}
