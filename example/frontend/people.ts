/** The users on a page. */
import { VERIFIED } from "django-collab";
import type { Awareness } from "y-protocols/awareness";

export interface Person {
  name: string;
  color: string;
}

const SHOWN = 4;

/** Show an avatar for each user, whatever the number of tabs; the own one first. */
export function showPeople(list: HTMLElement, awareness: Awareness): void {
  const render = (): void => {
    const people = present(awareness);
    const hidden = people.length - SHOWN;
    const avatars = people.slice(0, SHOWN).map(avatar);
    if (hidden > 0) avatars.push(item(`+${hidden}`, people.slice(SHOWN).map(label).join(", ")));
    list.replaceChildren(...avatars);
  };
  awareness.on("change", render);
  render();
}

function present(awareness: Awareness): Person[] {
  const others = [...awareness.getStates().keys()].filter((id) => id !== awareness.clientID);
  const people = new Map<string, Person>();
  for (const id of [awareness.clientID, ...others]) {
    const state = awareness.getStates().get(id);
    // The server's names of others; the own state comes from this page.
    const person = (state?.[VERIFIED] ?? state?.["user"]) as Person | undefined;
    if (person && !people.has(label(person))) people.set(label(person), person);
  }
  return [...people.values()];
}

const label = (person: Person): string => person.name;

function avatar(person: Person): HTMLElement {
  const element = item(person.name.charAt(0).toUpperCase(), person.name);
  element.style.setProperty("--color", person.color);
  return element;
}

function item(text: string, title: string): HTMLElement {
  const element = document.createElement("li");
  element.className = "avatar";
  element.textContent = text;
  element.title = title;
  element.setAttribute("aria-label", title);
  return element;
}
