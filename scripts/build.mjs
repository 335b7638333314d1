// Bundles the program: dist/tscompose.cjs for commands, dist/quick.cjs for those of them that only look (bin/tscompose.cjs has
// their list), dist/named.cjs for those where no compose file needs to be read, dist/engine.cjs for the engine process (`engine serve`), and dist/layer-worker.cjs for its threads. One file to
// read, with V8's code cache beside it and without the half that only the engine needs, makes a command start some 100 ms sooner
// than loading the modules one by one; without what only changing commands need, 10 ms sooner still.
// A start-up snapshot (`node --snapshot-blob`) would save as much again, and Node cannot fall back from one: it ends with an error
// where the blob does not fit its build, its V8 flags (NODE_OPTIONS) or the features of the CPU.
import { build } from "esbuild";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { writeCodeCaches } from "./code-cache.mjs";

const { quickCommands } = createRequire(import.meta.url)("../bin/tscompose.cjs");

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8"));
const root = new URL("..", import.meta.url).pathname;

/** Modules that a bundle leaves out: bin/tscompose.cjs runs what needs them from another one. */
const without = (/** @type {(path: string) => boolean} */ isOut, /** @type {string} */ elsewhere) => ({
  name: "without",
  setup(build) {
    build.onResolve({ filter: /\.ts$/ }, ({ path, kind }) =>
      kind === "dynamic-import" && isOut(path) ? { path, namespace: "elsewhere" } : undefined,
    );
    build.onLoad({ filter: /.*/, namespace: "elsewhere" }, ({ path }) => ({
      contents: `throw new Error(${JSON.stringify(`${path} is in dist/${elsewhere}.cjs`)})`,
    }));
  },
});
const withoutEngine = without((path) => /engine\/(local-engine|serve)\.ts$/.test(path), "engine");
/** Neither other commands nor what only those come to: live progress, contexts of builds, credentials. */
const withoutChanges = without((path) => {
  const command = /\/commands\/(.*)\.ts$/.exec(path)?.[1];
  if (command !== undefined) return !quickCommands.includes(command);
  return /\/(live|pack-context|pack-layout|ssh-agents|read-secrets|registry-credentials)\.ts$/.test(path);
}, "tscompose");
const withoutFiles = without((path) => path === "./load.ts", "quick");

/** Node's modules that few commands use and that take a millisecond or more to load. */
const lazyModules = ["child_process", "crypto", "os", "http", "stream/promises", "fs/promises", "v8"];
/** Turns their top-level `require` into one that is made at the first use of something in them, and writes the file. */
const write = {
  name: "write",
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

/** What Node puts around a module, for bin/tscompose.cjs, which compiles the file as it is. */
const wrapper = { start: "(function (exports, require, module, __filename, __dirname) {", end: "\n})" };

const bundle = (entry, outfile, { plugins = [], wrap = wrapper } = {}) =>
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
    plugins: [...plugins, write],
    write: false,
    define: {
      "import.meta.url": "__bundle.url",
      __TSCOMPOSE_VERSION__: JSON.stringify(version),
    },
    banner: {
      js: `${wrap.start}const __bundle = { get url() { return require("node:url").pathToFileURL(__filename).href; } };
const __lazily = (name) => new Proxy({}, { get: (_, key) => require(name)[key] });`,
    },
    footer: { js: wrap.end },
    logLevel: "warning",
    logOverride: { "import-is-undefined": "silent" },
  });

for (const name of ["tscompose", "quick", "named", "engine"]) rmSync(`${root}dist/${name}.cache`, { force: true });
await Promise.all([
  bundle("src/engine/images/layers/layer-worker.ts", "dist/layer-worker.cjs", { wrap: { start: "", end: "" } }),
  bundle("src/cli/main.ts", "dist/engine.cjs"),
  bundle("src/cli/main.ts", "dist/tscompose.cjs", { plugins: [withoutEngine] }),
  bundle("src/cli/main.ts", "dist/quick.cjs", { plugins: [withoutChanges] }),
  bundle("src/cli/main.ts", "dist/named.cjs", { plugins: [withoutFiles, withoutChanges] }),
]);

await writeCodeCaches(root);
