/** Languages, each loaded by the pages that use it. */
import type { Extension } from "@codemirror/state";

const LANGUAGES: Record<string, () => Promise<Extension>> = {
  css: async () => (await import("@codemirror/lang-css")).css(),
  html: async () => (await import("@codemirror/lang-html")).html(),
  javascript: async () => (await import("@codemirror/lang-javascript")).javascript({ jsx: true }),
  json: async () => (await import("@codemirror/lang-json")).json(),
  markdown: async () => (await import("@codemirror/lang-markdown")).markdown(),
  python: async () => (await import("@codemirror/lang-python")).python(),
  sql: async () => (await import("@codemirror/lang-sql")).sql(),
  typescript: async () =>
    (await import("@codemirror/lang-javascript")).javascript({ jsx: true, typescript: true }),
};

/** Return a language; undefined if its name is not known. */
export async function loadLanguage(name: string): Promise<Extension | undefined> {
  return Object.hasOwn(LANGUAGES, name) ? await LANGUAGES[name]?.() : undefined;
}
