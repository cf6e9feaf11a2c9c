// Lists the packages in the bundles with their licences.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Emit `licences.txt`. */
export function writeLicences() {
  return {
    name: "write-licences",
    generateBundle(_options, files) {
      const ids = Object.values(files).flatMap((file) => (file.type === "chunk" ? file.moduleIds : []));
      const folders = new Set(ids.map(packageOf).filter(Boolean));
      const parts = [...folders].sort().map((folder) => describe(folder));
      this.emitFile({ type: "asset", fileName: "licences.txt", source: parts.join(`\n${"-".repeat(72)}\n\n`) });
    },
  };
}

/** Return the folder of the package that a module is of. */
function packageOf(id) {
  return /^\0?(.*\/node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(id)?.[1];
}

function describe(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  if (!license && !file) throw new Error(`${name} says nothing of its licence.`);
  const text = file && existsSync(join(folder, file)) ? readFileSync(join(folder, file), "utf8") : "";
  return `${name} ${version} (${license})\n\n${text.trim()}\n`;
}
