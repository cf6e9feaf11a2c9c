import { defineConfig } from "vite";

export default defineConfig({
  base: "/static/dist/",
  build: {
    outDir: "static/dist",
    emptyOutDir: true,
    target: "es2022",
    rollupOptions: {
      input: {
        site: "frontend/site.css",
        editor: "frontend/editor.ts",
        board: "frontend/board.ts",
        dashboard: "frontend/dashboard.ts",
        object: "frontend/object.ts",
      },
      // Names without hashes, for Django's templates.
      output: { entryFileNames: "[name].js", assetFileNames: "[name][extname]" },
    },
  },
});
