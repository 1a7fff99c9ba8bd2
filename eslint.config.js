import tseslint from "typescript-eslint";

/** Only these folders may load the libraries that cost much or that would tie the core to them. */
const OWNED_PACKAGES = [
  { name: "express", owner: "http" },
  { name: "@kubernetes/client-node", owner: "kube" },
  { name: "undici", owner: "kube" },
  { name: "pino", owner: "telemetry" },
  { name: "prom-client", owner: "telemetry" },
  { name: "@peculiar/x509", owner: "tls" },
  { name: "reflect-metadata", owner: "tls" },
  { name: "zod", owner: "config" },
];

/** The arrows: folder -> the folders of src that it may import from, besides itself. */
const ARROWS = {
  core: [],
  yaml: [],
  config: ["core", "yaml"],
  manifest: ["core", "yaml"],
  tls: ["core"],
  telemetry: ["core", "admission", "replicator"],
  admission: ["core"],
  replicator: ["core"],
  kube: ["core", "admission", "replicator"],
  http: ["core", "admission", "console"],
  registry: ["core"],
  providers: ["core"],
  console: ["core", "config", "kube", "manifest", "registry"],
  serve: [
    "core",
    "config",
    "tls",
    "telemetry",
    "admission",
    "replicator",
    "kube",
    "http",
    "registry",
    "providers",
    "console",
  ],
  cli: [
    "core",
    "config",
    "manifest",
    "tls",
    "telemetry",
    "admission",
    "replicator",
    "kube",
    "http",
    "registry",
    "providers",
    "console",
    "serve",
  ],
};

/** Types are free; at run time only the owner loads its library. */
function folderRules(folder, allowed) {
  const forbidden = Object.keys(ARROWS).filter((other) => other !== folder && !allowed.includes(other));
  const packages = OWNED_PACKAGES.filter(({ owner }) => owner !== folder).map(({ name, owner }) => ({
    name,
    message: `Only src/${owner} imports it.`,
    allowTypeImports: true,
  }));
  const patterns = [
    ...forbidden.map((other) => ({
      regex: `^(\\.\\./)+${other}/`,
      message: `${folder} does not know ${other}.`,
    })),
    { regex: "/main\\.ts$", message: "Nobody imports main." },
    ...(folder === "core"
      ? // fast-json-patch is the vocabulary of patches: its types, and `escapePathComponent`, which is pure.
        [
          {
            regex: "^(?!\\.|fast-json-patch$)",
            message: "The core imports only itself and fast-json-patch: no I/O.",
          },
        ]
      : []),
  ];
  return {
    files: [`src/${folder}/**/*.ts`],
    rules: { "@typescript-eslint/no-restricted-imports": ["error", { paths: packages, patterns }] },
  };
}

export default tseslint.config(
  { ignores: ["dist", "coverage", "**/node_modules", "eslint.config.js", "certs", "deploy"] },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-non-null-assertion": "error",
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/consistent-type-definitions": "off",
      "@typescript-eslint/dot-notation": "off",
      // Nothing here has an enum: TypeScript's erasableSyntaxOnly refuses them. It takes a quarter of the time of all rules.
      "@typescript-eslint/no-unsafe-enum-assignment": "off",
      "no-restricted-syntax": [
        "error",
        {
          selector: "MemberExpression[object.name='process'][property.name='exit']",
          message: "Only main ends the process.",
        },
        {
          selector: "MemberExpression[object.name='process'][property.name=/^(argv|env)$/]",
          message: "Only main reads it.",
        },
      ],
    },
  },
  // A screen.
  { files: ["src/**/*.{ts,tsx}"], rules: { "max-lines-per-function": ["error", 60] } },
  ...Object.entries(ARROWS).map(([folder, allowed]) => folderRules(folder, allowed)),
  {
    files: ["src/console/web/**/*.{ts,tsx}"],
    rules: {
      "@typescript-eslint/no-restricted-imports": [
        "error",
        {
          patterns: [
            {
              regex: "^\\.\\./",
              message: "The pages take types alone from the rest.",
              allowTypeImports: true,
            },
            { regex: "^(?!\\.|preact(?:/hooks)?$)", message: "The pages need nothing but Preact." },
          ],
        },
      ],
    },
  },
  {
    // The models of client-node are classes by name only: its code reads their members, and literals have all of them.
    files: ["src/kube/**/*.ts"],
    rules: {
      "@typescript-eslint/no-unsafe-class-instance-assignment": "off",
      "@typescript-eslint/no-misused-spread": "off",
    },
  },
  { files: ["src/main.ts", "test/**/*.ts", "*.ts"], rules: { "no-restricted-syntax": "off" } },
);
