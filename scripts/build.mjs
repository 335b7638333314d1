// Bundles the program: dist/tscompose.cjs for commands, dist/engine.cjs for the engine process (`engine serve`), and
// dist/layer-worker.cjs for its threads. One file to read, with V8's code cache beside it and without the half that only the
// engine needs, makes a command start some 100 ms sooner than loading the modules one by one.
import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const root = new URL("..", import.meta.url).pathname;

/** Leaves out what only `engine serve` imports; bin/tscompose.cjs runs that from the engine's bundle. */
const withoutEngine = {
  name: "without-engine",
  setup(build) {
    build.onResolve({ filter: /engine\/(local-engine|serve)\.ts$/ }, ({ path }) => ({ path, namespace: "engine-only" }));
    build.onLoad({ filter: /.*/, namespace: "engine-only" }, () => ({
      contents: 'throw new Error("this part of the engine is in dist/engine.cjs")',
    }));
  },
};

const bundle = (entry, outfile, plugins = []) =>
  build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "cjs",
    // A real import() would load Node's ESM loader: require() does the same here, sooner.
    supported: { "dynamic-import": false },
    // The launcher reads the file as one byte a character.
    charset: "ascii",
    external: ["koffi"],
    minifySyntax: true,
    minifyWhitespace: true,
    plugins,
    define: {
      "import.meta.url": "__bundleUrl",
      __TSCOMPOSE_VERSION__: JSON.stringify(version),
    },
    banner: { js: 'const __bundleUrl = require("node:url").pathToFileURL(__filename).href;' },
    logLevel: "warning",
    logOverride: { "import-is-undefined": "silent" },
  });

for (const name of ["tscompose", "engine"]) rmSync(`${root}dist/${name}.cache`, { force: true });
await Promise.all([
  bundle("src/engine/images/layers/layer-worker.ts", "dist/layer-worker.cjs"),
  bundle("src/cli/main.ts", "dist/engine.cjs"),
  bundle("src/cli/main.ts", "dist/tscompose.cjs", [withoutEngine]),
]);

// The cache holds what has been compiled when it is written, and what the cache before it held: so each of these commands
// adds the functions that it used. What they print and how they end does not matter here.
const warmUp = [
  ["version"],
  ["--help"],
  ["-f", "examples/voting/compose.yaml", "config"],
  ["engine", "serve", "--help"],
];
for (const args of warmUp) {
  const env = { ...process.env, TSCOMPOSE_WRITE_CODE_CACHE: "1" };
  const { status, stderr } = spawnSync(process.execPath, [`${root}bin/tscompose.cjs`, ...args], { cwd: root, env });
  if (args[0] === "version" && status !== 0) throw new Error(`the bundle does not run: ${stderr}`);
}
