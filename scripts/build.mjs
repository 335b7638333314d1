// Bundles the program: dist/tscompose.cjs for commands, dist/engine.cjs for the engine process (`engine serve`), and
// dist/layer-worker.cjs for its threads. One file to read, with V8's code cache beside it and without the half that only the
// engine needs, makes a command start some 100 ms sooner than loading the modules one by one.
import { build } from "esbuild";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { writeCodeCaches } from "./code-cache.mjs";

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const root = new URL("..", import.meta.url).pathname;

/** Leaves out what only `engine serve` imports; bin/tscompose.cjs runs that from the engine's bundle. */
const withoutEngine = {
  name: "without-engine",
  setup(build) {
    build.onResolve({ filter: /engine\/(local-engine|serve)\.ts$/ }, ({ path }) => ({
      path,
      namespace: "engine-only",
    }));
    build.onLoad({ filter: /.*/, namespace: "engine-only" }, () => ({
      contents: 'throw new Error("this part of the engine is in dist/engine.cjs")',
    }));
  },
};

/** Node's modules that few commands use and that take a millisecond or more to load. */
const lazyModules = ["child_process", "crypto", "os", "http", "stream/promises", "fs/promises", "v8"];
/** Turns their top-level `require` into one that is made at the first use of something in them. */
const lazily = {
  name: "lazily",
  setup(build) {
    build.onEnd(({ outputFiles: [file] }) => {
      const names = lazyModules.join("|");
      mkdirSync(dirname(file.path), { recursive: true });
      writeFileSync(
        file.path,
        file.text.replaceAll(new RegExp(`=require\\(("(?:node:)?(?:${names})")\\)`, "g"), "=__lazily($1)"),
      );
    });
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
    plugins: [...plugins, lazily],
    write: false,
    define: {
      "import.meta.url": "__bundleUrl",
      __TSCOMPOSE_VERSION__: JSON.stringify(version),
    },
    banner: {
      js: `const __bundleUrl = require("node:url").pathToFileURL(__filename).href;
const __lazily = (name) => new Proxy({}, { get: (_, key) => require(name)[key] });`,
    },
    logLevel: "warning",
    logOverride: { "import-is-undefined": "silent" },
  });

for (const name of ["tscompose", "engine"]) rmSync(`${root}dist/${name}.cache`, { force: true });
await Promise.all([
  bundle("src/engine/images/layers/layer-worker.ts", "dist/layer-worker.cjs"),
  bundle("src/cli/main.ts", "dist/engine.cjs"),
  bundle("src/cli/main.ts", "dist/tscompose.cjs", [withoutEngine]),
]);

await writeCodeCaches(root);
