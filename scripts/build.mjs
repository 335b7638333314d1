// Bundles the program: dist/tscompose.cjs for commands, dist/engine.cjs for the engine process (`engine serve`), and
// dist/layer-worker.cjs for its threads. One file to read, with V8's code cache beside it and without the half that only the
// engine needs, makes a command start some 100 ms sooner than loading the modules one by one.
import { build } from "esbuild";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";

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
// adds the functions that it used. They talk to a server that knows nothing; what they print and how they end is no matter.
const work = mkdtempSync(join(tmpdir(), "build-"));
const socket = join(work, "s");
const server = createServer((request, response) => {
  request.resume();
  const list = /\/(json|networks|volumes)(\?|$)/.test(request.url ?? "") && request.method === "GET";
  response.writeHead(200, { "Content-Type": "application/json" }).end(list ? "[]" : '{"Id":"0","Volumes":[]}');
});
await new Promise((ready) => server.listen(socket, ready));
const example = ["-f", "examples/voting/compose.yaml"];
const warmUp = [
  ["version"],
  ["--help"],
  [...example, "config"],
  ...["ps", "up -d", "exec -T vote true", "logs", "down"].map((line) => [
    "-H",
    `unix://${socket}`,
    ...example,
    ...line.split(" "),
  ]),
  ["engine", "serve", "--help"],
];
for (const args of warmUp) {
  const child = spawn(process.execPath, [`${root}bin/tscompose.cjs`, ...args], {
    cwd: root,
    env: { ...process.env, TSCOMPOSE_WRITE_CODE_CACHE: "1", TSCOMPOSE_RUN_ROOT: work },
    stdio: "ignore",
    timeout: 10_000,
  });
  const [code] = await once(child, "close");
  if (args[0] === "version" && code !== 0)
    throw new Error("the bundle does not run: try `node dist/tscompose.cjs version`");
}
server.close();
server.closeAllConnections();
rmSync(work, { recursive: true });
