/**
 * `npm run build`: bundles the program into dist/main.js, with its source map, and the console's pages into dist/web, and writes the
 * licences of what is in them to dist/LICENSES.txt. One file: the libraries as npm installs them cost twice as much memory and take three times as long to load.
 */
import { copyFile, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const ROOT = join(import.meta.dirname, "../..");
const DIST = join(ROOT, "dist");

/** CommonJS modules in the bundle still ask for Node's own modules by `require`. */
const REQUIRE = `import { createRequire } from "node:module"; const require = createRequire(import.meta.url);`;

await rm(DIST, { recursive: true, force: true });
const { metafile } = await build({
  absWorkingDir: ROOT,
  entryPoints: ["src/main.ts"],
  outfile: "dist/main.js",
  bundle: true,
  platform: "node",
  format: "esm",
  target: "node26",
  // Names stay, for stack traces. With `minify` and `keepNames` the process takes 15 MiB more memory, with short names 9 MiB.
  minifyWhitespace: true,
  minifySyntax: true,
  sourcemap: true,
  sourcesContent: false,
  legalComments: "none",
  banner: { js: REQUIRE },
  metafile: true,
});
// The console's pages: one script, one style sheet, and the HTML that names them.
const PAGES = join(ROOT, "src/console/web");
const pages = await build({
  absWorkingDir: ROOT,
  entryPoints: { app: "src/console/web/main.tsx", style: "src/console/web/style.css" },
  outdir: "dist/web",
  bundle: true,
  platform: "browser",
  format: "esm",
  target: ["chrome120", "firefox120", "safari17"],
  // As calls of h, elements are 2.5 KB less than by the automatic runtime that the compiler checks them by.
  jsx: "transform",
  jsxFactory: "h",
  jsxFragment: "Fragment",
  inject: ["node_modules/preact/dist/preact.mjs"],
  tsconfigRaw: {},
  minify: true,
  legalComments: "none",
  charset: "utf8",
  metafile: true,
});
for (const file of ["index.html", "icon.svg"]) await copyFile(join(PAGES, file), join(DIST, "web", file));

const inputs = [...Object.keys(metafile.inputs), ...Object.keys(pages.metafile.inputs)];
await writeFile(join(DIST, "LICENSES.txt"), (await licences(inputs)).join("\n"));

/** The licence of each package that a file in the bundle is from. @throws Error for a package without one. */
async function licences(files: readonly string[]): Promise<readonly string[]> {
  const packages = new Set(
    files.flatMap((file) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0] ?? []),
  );
  return Promise.all(
    [...packages].sort().map(async (directory) => {
      const path = join(ROOT, directory);
      const { name, version, license } = JSON.parse(await readFile(join(path, "package.json"), "utf8")) as {
        readonly name: string;
        readonly version: string;
        readonly license?: string;
      };
      const files = (await readdir(path)).filter((file) => /^(?:licen[cs]e|copying|notice)/i.test(file));
      if (files.length === 0 && license === undefined) throw new Error(`${directory} has no licence`);
      const texts = await Promise.all(files.sort().map((file) => readFile(join(path, file), "utf8")));
      return [`## ${name} ${version} (${license ?? "see below"})`, ...texts, ""].join("\n");
    }),
  );
}
