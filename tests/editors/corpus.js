// Prints what an editor makes of its own documents, as JSON: node corpus.js EDITOR COUNT

import { documents } from "./prosemirror.js";

const [, , name, count] = process.argv;
const { editor } = await import(`./${name}.js`);
const made = editor.documents ? editor.documents(Number(count)) : documents({ ...editor, count: Number(count) });
const result = { outline: editor.outline?.(), documents: [] };
for await (const { doc, ...document } of made) result.documents.push(document);
process.stdout.write(JSON.stringify(result), () => process.exit(0));
