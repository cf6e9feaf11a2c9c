/** People as presence has them: whatever other clients have sent. */
import type { Awareness } from "y-protocols/awareness";

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

/** Return a person that is safe to be shown, of any value. */
export function personOf(value: unknown): Person {
  const given = (typeof value === "object" && value !== null ? value : {}) as Record<string, unknown>;
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
    const user: unknown = awareness.getStates().get(client)?.["user"];
    if (!user) continue;
    const person = personOf(user);
    const key = `${person.id}\n${person.name}`;
    if (!people.has(key)) people.set(key, person);
  }
  return [...people.values()];
}
