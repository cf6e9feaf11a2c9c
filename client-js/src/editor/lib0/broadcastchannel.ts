/** In the place of lib0's module of that name, which knows browsers without such channels. */

type Subscriber = (data: unknown, origin: unknown) => void;

interface Room {
  channel: BroadcastChannel;
  subscribers: Set<Subscriber>;
}

const rooms = new Map<string, Room>();

function roomOf(name: string): Room {
  let room = rooms.get(name);
  if (!room) {
    const subscribers = new Set<Subscriber>();
    const channel = new BroadcastChannel(name);
    channel.onmessage = ({ data }) => subscribers.forEach((subscriber) => subscriber(data, "broadcastchannel"));
    rooms.set(name, (room = { channel, subscribers }));
  }
  return room;
}

export const subscribe = (name: string, subscriber: Subscriber): void =>
  void roomOf(name).subscribers.add(subscriber);

/** End a subscription; with the last one ends the channel. */
export function unsubscribe(name: string, subscriber: Subscriber): void {
  const { channel, subscribers } = roomOf(name);
  subscribers.delete(subscriber);
  if (subscribers.size > 0) return;
  channel.close();
  rooms.delete(name);
}

export function publish(name: string, data: unknown, origin: unknown = null): void {
  const { channel, subscribers } = roomOf(name);
  channel.postMessage(data);
  subscribers.forEach((subscriber) => subscriber(data, origin));
}
