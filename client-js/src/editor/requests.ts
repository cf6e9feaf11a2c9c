/** Headers of requests about a document. */

/** The grant of the page, if it has one. */
export function grantHeaders(element: Element): Record<string, string> {
  const token = element.getAttribute("token");
  return token ? { "X-Collab-Grant": token } : {};
}

/** The token against forgery, as the form has it, else the page, else the cookie. */
export function csrfToken(element: Element): string {
  const input = element.closest("form")?.querySelector<HTMLInputElement>("[name=csrfmiddlewaretoken]");
  const cookie = /(?:^|;\s*)csrftoken=([^;]*)/.exec(document.cookie)?.[1];
  return input?.value ?? element.getAttribute("csrf-token") ?? cookie ?? "";
}
