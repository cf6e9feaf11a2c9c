// Checks what a page loads: sizes, and that no file imports the entry.

import { gzipSync } from "node:zlib";

/** Fail the build if the files that load `modules` are larger than `limit` kilobytes with gzip. */
export function checkBundles(bundles) {
  return {
    name: "check-bundles",
    generateBundle(_options, files) {
      const chunks = Object.values(files).filter((file) => file.type === "chunk");
      const entry = chunks.find((chunk) => chunk.isEntry);
      if (chunks.some((chunk) => [...chunk.imports, ...chunk.dynamicImports].includes(entry.fileName))) {
        this.error("A chunk imports the entry, whose name changes.");
      }
      for (const [name, { modules, limit }] of Object.entries(bundles)) {
        const wanted = chunks.filter(({ moduleIds }) =>
          moduleIds.some((id) => modules.some((module) => id.endsWith(module))),
        );
        if (wanted.length < modules.length) this.error(`No chunk has the modules of ${name}.`);
        const names = reachable([entry, ...wanted], files);
        const bytes = names.reduce((sum, file) => sum + gzipSync(files[file].code, { level: 9 }).length, 0);
        const size = `${(bytes / 1000).toFixed(1)} KB of at most ${limit} KB with gzip`;
        if (bytes > 1000 * limit) this.error(`${name}: ${size}`);
        this.info(`${name}: ${size}`);
      }
    },
  };
}

/** Return the names of chunks and of all that they import. */
function reachable(chunks, files) {
  const names = new Set();
  const visit = (name) => {
    if (names.has(name)) return;
    names.add(name);
    files[name].imports.forEach(visit);
  };
  chunks.forEach(({ fileName }) => visit(fileName));
  return [...names];
}
