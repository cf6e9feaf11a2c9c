/** The server that the tests run against, which is started for them; see tests/acceptance. */
import { setTimeout as pause } from "node:timers/promises";

// Longest wait for an event, in milliseconds; a machine that others use is slow.
const DEADLINE = 120_000;

/** Address of a route of the test application, to which providers add the room. */
export function address(route = "ws") {
  if (!process.env.COLLAB_TEST_URL) throw new Error("Run these with: make test-client");
  return `${process.env.COLLAB_TEST_URL}/${route}`;
}

/** Have something done to the server: kill, stop, start, restart, lock or unlock its database. */
export async function tell(action) {
  const response = await fetch(`${process.env.COLLAB_TEST_CONTROL}/${action}`, { method: "POST" });
  if (!response.ok) throw new Error(await response.text());
}

/** Return as soon as `holds()` does. */
export async function until(holds) {
  const end = Date.now() + DEADLINE;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`not in time: ${holds}`);
    await pause(5);
  }
}

let rooms = 0;

/** A room that no other test uses. */
export const newRoom = () => `room-${process.pid}-${(rooms += 1)}`;
