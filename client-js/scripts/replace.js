// Puts small modules in the place of some of lib0's, also where lib0 itself imports them.

const NAMES = "broadcastchannel|environment|logging";
const FROM_OUTSIDE = new RegExp(`^lib0/(${NAMES})$`);
const FROM_INSIDE = new RegExp(`^\\./(${NAMES})\\.js$`);

export function replaceModules(directory) {
  return {
    name: "replace-modules",
    enforce: "pre",
    resolveId(source, importer = "") {
      const isInside = importer.includes("/node_modules/lib0/");
      const found = (isInside ? FROM_INSIDE : FROM_OUTSIDE).exec(source);
      return found ? new URL(`${found[1]}.ts`, directory).pathname : null;
    },
  };
}
