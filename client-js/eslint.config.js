import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "vite.config.ts"] },
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { project: ["tsconfig.json", "test/tsconfig.json", "src/editor/tsconfig.json"] },
    },
    rules: {
      "@typescript-eslint/no-confusing-void-expression": ["error", { ignoreArrowShorthand: true }],
    },
  },
);
