/** What may differ from connection to connection. */

/** The value, or a function that is asked for it afresh at each connection. */
export type Fresh<T> = T | (() => T | Promise<T>);

/** Parameters of a URL. */
export type Params = Record<string, string>;

const fresh = <T>(value: Fresh<T>): T | Promise<T> =>
  typeof value === "function" ? (value as () => T | Promise<T>)() : value;

/** `url` with parameters; the token is one of them, `token`. */
export async function addressed(
  url: string,
  params: Fresh<Params> = {},
  token?: Fresh<string>,
): Promise<string> {
  const address = new URL(url);
  const all = { ...(await fresh(params)) };
  if (token !== undefined) all["token"] = await fresh(token);
  for (const [name, value] of Object.entries(all)) address.searchParams.set(name, value);
  return address.href;
}

/** Where a channel connects to. */
export interface ServerOptions {
  /** Where the server is, if it is not the page's own: `wss://example.com`. */
  server?: string;
}

/** The address of a path; of the page's own server if no other is given. */
export function serverUrl(path: string, server?: string): string {
  // There is no page outside of browsers.
  const page = (globalThis as { location?: Location }).location;
  const url = new URL(path, server ?? page?.href);
  url.protocol = url.protocol.replace("http", "ws");
  return url.href;
}

/** A path with values in it, quoted: path`/ws/rooms/${name}`. */
export function path(parts: TemplateStringsArray, ...values: (string | number)[]): string {
  return String.raw({ raw: parts }, ...values.map((value) => encodeURIComponent(value)));
}
