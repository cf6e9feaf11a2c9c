/** Texts of the interface: English here, other languages from the server. */

export type Translate = (text: string, values?: Record<string, string | number>) => string;

/** Return a function that translates by a catalogue: a JSON object of texts. */
export function translator(catalogue: string | null): Translate {
  const texts = catalogue ? (JSON.parse(catalogue) as Record<string, string>) : {};
  return (text, values = {}) =>
    (texts[text] ?? text).replace(/%\((\w+)\)s/g, (_match, name: string) => String(values[name] ?? ""));
}
