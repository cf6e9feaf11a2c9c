/** Live channels: actions, events and states of a `LiveConsumer`. */
export { path } from "./address.js";
export type { ServerOptions, TokenPlace, ValueOrGetter } from "./address.js";
export { LiveChannel, LiveError } from "./channel.js";
export type { Arguments, ChannelOptions, Push, SubscribeOptions, Subscription } from "./channel.js";
export { JsonSocket } from "./transport.js";
export type { Ended, SocketOptions, Transport, TransportEvents } from "./transport.js";
export { DocumentChannel, StateChannel } from "./state.js";
export type { DocumentOptions } from "./state.js";
export { Tree } from "./tree.js";
export type { Key, Relation, Shape } from "./tree.js";
export { watch, watchList } from "./watch.js";
export type { Model } from "./watch.js";
