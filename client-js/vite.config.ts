/** The static files of `collab.editor`: the element `<collab-editor>` and what it loads. */
import { defineConfig } from "vite";

import { checkBundles } from "./scripts/bundles.js";
import { writeLicences } from "./scripts/licences.js";
import { minifyChunks } from "./scripts/minify.js";
import { replaceModules } from "./scripts/replace.js";

export default defineConfig({
  publicDir: false,
  define: { "process.env.NODE_ENV": '"production"' },
  build: {
    outDir: "../collab/editor/static/collab_editor",
    emptyOutDir: true,
    target: "es2022",
    minify: false,
    cssMinify: true,
    reportCompressedSize: false,
    // Imports between the files are relative, wherever Django puts them.
    lib: { entry: { editor: "src/editor/editor.ts" }, formats: ["es"] },
    rollupOptions: {
      output: {
        // Django gives it a hash; those of the others, which only other files name, are here.
        entryFileNames: "[name].js",
        chunkFileNames: "chunks/[name]-[hash].js",
        // The entry would be there twice, under both names, if a chunk imported it.
        manualChunks: { shared: ["src/editor/element.ts", "src/editor/cursors.ts"] },
      },
    },
  },
  plugins: [
    replaceModules(new URL("src/editor/lib0/", import.meta.url)),
    minifyChunks(),
    writeLicences(),
    checkBundles({
      // Kilobytes with gzip, of all that a page with such an editor loads.
      plain: { modules: ["src/editor/plain/surface.ts"], limit: 35 },
      rich: { modules: ["src/editor/rich/surface.ts"], limit: 160 },
      code: { modules: ["src/editor/code/surface.ts"], limit: 150 },
    }),
  ],
});
