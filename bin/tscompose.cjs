#!/usr/bin/env node
"use strict";
// Loads a bundle through V8's code cache. The cache belongs to one bundle and one version of Node: anything else is
// rejected by V8 and the bundle is compiled as usual.
const { readFileSync, writeFileSync } = require("node:fs");
const { Script } = require("node:vm");

/** Commands that only look: dist/quick.cjs has these alone, which takes less time to load. */
const quickCommands = ["exec", "images", "logs", "ls", "port", "ps", "top", "version"];
/** Those of them that no project concerns. */
const fileless = ["ls", "version"];
const valuedFlags =
  /^(-f|--file|-p|--project-name|--profile|--env-file|--project-directory|--ansi|--progress|--parallel|-H|--host)$/;
const plainFlags = /^(--compatibility|--dry-run|--strict|--verbose)$/;

/** The bundle for these arguments: `tscompose`, which can do everything, unless it is plain that a smaller one will do. `named` is
 *  `quick` without what reads compose files: the project is named by a flag, and no file is. */
function bundleOf(argv) {
  if (argv[0] === "engine" && argv[1] === "serve") return "engine";
  let project = "";
  let files = false;
  let at = 0;
  for (; at < argv.length && argv[at].startsWith("-"); at += 1) {
    const [, flag, inline] = /^(--[^=]*)=(.*)$/s.exec(argv[at]) ?? [undefined, argv[at], undefined];
    if (inline === undefined && plainFlags.test(flag)) continue;
    if (!valuedFlags.test(flag)) return "tscompose";
    const value = inline ?? argv[(at += 1)] ?? "";
    if (flag === "-p" || flag === "--project-name") project = value;
    if (flag === "-f" || flag === "--file") files = true;
  }
  if (!quickCommands.includes(argv[at])) return "tscompose";
  return fileless.includes(argv[at]) || (project !== "" && !files) ? "named" : "quick";
}

function read(path, encoding) {
  try {
    return readFileSync(path, encoding);
  } catch {
    return undefined;
  }
}

function run(argv) {
  // bin/tscompose kept these from Node, which would have read them all before anything else.
  if (process.env.TSCOMPOSE_EXTRA_CA_CERTS !== undefined) {
    process.env.NODE_EXTRA_CA_CERTS = process.env.TSCOMPOSE_EXTRA_CA_CERTS;
    delete process.env.TSCOMPOSE_EXTRA_CA_CERTS;
  }
  const dist = `${__dirname.slice(0, __dirname.lastIndexOf("/"))}/dist`;
  let name = bundleOf(argv);
  let source = read(`${dist}/${name}.cjs`, "latin1");
  if (source === undefined && name !== "engine") source = read(`${dist}/${(name = "tscompose")}.cjs`, "latin1");
  if (source === undefined) {
    process.stderr.write("tscompose is not built yet: run `npm run setup` in its folder\n");
    process.exit(1);
  }
  const bundle = `${dist}/${name}.cjs`;
  const cache = `${dist}/${name}.cache`;
  const cachedData = read(cache);
  const script = new Script(source, { filename: bundle, ...(cachedData === undefined ? {} : { cachedData }) });
  const module_ = { exports: {} };
  script.runInThisContext()(module_.exports, require, module_, bundle, dist);
  if (process.env.TSCOMPOSE_WRITE_CODE_CACHE === "1") {
    process.on("exit", () => writeFileSync(cache, script.createCachedData()));
  }
}

module.exports = { bundleOf, quickCommands };
if (require.main === module) run(process.argv.slice(2));
