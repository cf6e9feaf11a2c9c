/** Users that hold a card, by dragging it or having it open. */
import type { Awareness } from "y-protocols/awareness";

import type { Person } from "../people.js";
import type { Cards } from "./cards.js";

/** Return the other users that hold a card. */
export function holders(awareness: Awareness, key: string): Person[] {
  return [...awareness.getStates()]
    .filter(([id, state]) => id !== awareness.clientID && state["task"] === key && state["user"])
    .map(([, state]) => state["user"] as Person);
}

export function showHolders(cards: Cards, awareness: Awareness): void {
  awareness.on("change", () => {
    for (const [key, card] of cards.all()) {
      const [person] = holders(awareness, key);
      card.classList.toggle("held", person !== undefined);
      card.dataset["holder"] = person?.name ?? "";
      card.style.setProperty("--holder", person?.color ?? "");
    }
  });
}
