// Minifies chunks. Vite leaves those of libraries as they are, lest others cannot shake them.

import { minify } from "terser";

export function minifyChunks() {
  return {
    name: "minify-chunks",
    async generateBundle(_options, files) {
      for (const file of Object.values(files)) {
        if (file.type !== "chunk") continue;
        const compress = { passes: 3, unsafe_arrows: true, unsafe_methods: true };
        file.code = (await minify(file.code, { ecma: 2020, module: true, compress })).code;
      }
    },
  };
}
