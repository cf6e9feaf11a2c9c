/** Addresses of connections, with parameters that may differ from one to the next. */

/** A value, or a function that returns it for each connection. */
export type ValueOrGetter<T> = T | (() => T | Promise<T>);

/** Parameters of a URL. */
export type Params = Record<string, string>;

/** Return the value, of this moment if it is a function's. */
export const current = <T>(value: ValueOrGetter<T>): T | Promise<T> =>
  typeof value === "function" ? (value as () => T | Promise<T>)() : value;

/** Where a token is sent; all but the query need the server's `TokenAuthMiddleware`. */
export type TokenPlace = "query" | "subprotocol" | "frame";

/** Credentials and parameters of connections. */
export interface AddressOptions {
  /** Parameters of the URL. */
  params?: ValueOrGetter<Params>;
  /** Sent with each connection. */
  token?: ValueOrGetter<string>;
  /** Where the token is sent: as parameter `token` of the URL by default. */
  tokenIn?: TokenPlace;
}

/** The target of one connection. */
export interface Target {
  url: string;
  protocols: string[];
  /** Text frames to send first. */
  frames: string[];
}

/** Return the target of a connection to `url`, with parameters and the token. */
export async function target(
  url: string,
  protocols: string[],
  { params = {}, token, tokenIn = "query" }: AddressOptions,
): Promise<Target> {
  const address = new URL(url);
  const found: Target = { url, protocols: [...protocols], frames: [] };
  for (const [name, value] of Object.entries(await current(params))) {
    address.searchParams.set(name, value);
  }
  if (token !== undefined) {
    const value = await current(token);
    if (tokenIn === "query") address.searchParams.set("token", value);
    else if (tokenIn === "subprotocol") found.protocols.push(`token.${value}`);
    else found.frames.push(JSON.stringify({ token: value }));
  }
  return { ...found, url: address.href };
}

/** The server that a channel connects to. */
export interface ServerOptions {
  /** The server, such as `wss://example.com`; by default the page's own. */
  server?: string;
}

/** Return the address of a path on a server, by default the page's own. */
export function serverUrl(path: string, server?: string): string {
  // Only browsers have a page.
  const page = (globalThis as { location?: Location }).location;
  const base = server ?? page?.href;
  if (base === undefined && !/^\w+:/.test(path)) {
    throw new Error(`${path} needs the option "server": outside a browser there is no page.`);
  }
  const url = new URL(path, base);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/** A path with quoted values: path`/ws/rooms/${name}`. */
export function path(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return String.raw({ raw: parts }, ...values.map((value) => encodeURIComponent(value)));
}
