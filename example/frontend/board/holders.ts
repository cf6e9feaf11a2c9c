/** Who has which card in hand, by dragging it or having it open. */
import type { Awareness } from "y-protocols/awareness";

import type { Person } from "../people.js";
import type { Cards } from "./cards.js";

/** The others that have a card in hand. */
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
