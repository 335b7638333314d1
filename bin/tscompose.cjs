#!/usr/bin/env node
"use strict";
// Loads the bundle through V8's code cache. The cache belongs to one bundle and one version of Node: anything else is
// rejected by V8 and the bundle is compiled as usual.
const { readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

const dist = join(__dirname, "..", "dist");
const name = process.argv[2] === "engine" && process.argv[3] === "serve" ? "engine" : "tscompose";
const bundle = join(dist, `${name}.cjs`);
const cache = join(dist, `${name}.cache`);

function read(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

// bin/tscompose kept these from Node, which would have read them all before anything else.
if (process.env.TSCOMPOSE_EXTRA_CA_CERTS !== undefined) {
  process.env.NODE_EXTRA_CA_CERTS = process.env.TSCOMPOSE_EXTRA_CA_CERTS;
  delete process.env.TSCOMPOSE_EXTRA_CA_CERTS;
}

const source = read(bundle);
if (source === undefined) {
  process.stderr.write("tscompose is not built yet: run `npm run setup` in its folder\n");
  process.exit(1);
}
const wrapped = `(function (exports, require, module, __filename, __dirname) {${source.toString("latin1")}\n})`;
const cachedData = read(cache);
const script = new Script(wrapped, { filename: bundle, ...(cachedData === undefined ? {} : { cachedData }) });
const module_ = { exports: {} };
script.runInThisContext()(module_.exports, require, module_, bundle, dist);
if (process.env.TSCOMPOSE_WRITE_CODE_CACHE === "1") {
  process.on("exit", () => writeFileSync(cache, script.createCachedData()));
}
