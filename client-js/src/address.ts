/** Addresses of connections, with parameters that may differ from one to the next. */

/** A value, or a function that returns it for each connection. */
export type ValueOrGetter<T> = T | (() => T | Promise<T>);

/** Parameters of a URL. */
export type Params = Record<string, string>;

const current = <T>(value: ValueOrGetter<T>): T | Promise<T> =>
  typeof value === "function" ? (value as () => T | Promise<T>)() : value;

/** Return `url` with parameters, and with the token as parameter `token`. */
export async function addressed(
  url: string,
  params: ValueOrGetter<Params> = {},
  token?: ValueOrGetter<string>,
): Promise<string> {
  const address = new URL(url);
  const all = { ...(await current(params)) };
  if (token !== undefined) all["token"] = await current(token);
  for (const [name, value] of Object.entries(all)) address.searchParams.set(name, value);
  return address.href;
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
  const url = new URL(path, server ?? page?.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/** A path with quoted values: path`/ws/rooms/${name}`. */
export function path(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return String.raw({ raw: parts }, ...values.map((value) => encodeURIComponent(value)));
}
