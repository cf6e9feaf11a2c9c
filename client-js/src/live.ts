/** Live channels: actions, events and states of a `LiveConsumer`. */
export { path } from "./address.js";
export type { Fresh, ServerOptions } from "./address.js";
export { LiveChannel, LiveError } from "./channel.js";
export type { Arguments, ChannelOptions, Push, SubscribeOptions, Subscription } from "./channel.js";
export { JsonSocket } from "./line.js";
export type { Ended, Line, LineEvents, SocketOptions } from "./line.js";
export { DocumentChannel, StateChannel } from "./state.js";
export type { DocumentOptions } from "./state.js";
export { Tree } from "./tree.js";
export type { Key, Relation, Shape } from "./tree.js";
export { watch, watchList } from "./watch.js";
export type { Model } from "./watch.js";
