// Makes a docker archive (as `docker load` reads it) of one layer out of a root file system tar.
//   node scripts/make-image.mjs --tag NAME --rootfs rootfs.tar --out image.tar [--config '{"Cmd":["sh"]}']
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, linkSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    tag: { type: "string" },
    rootfs: { type: "string" },
    out: { type: "string" },
    config: { type: "string", default: "{}" },
  },
});
const out = resolve(values.out);
const hash = createHash("sha256");
await pipeline(createReadStream(values.rootfs), hash);
const diffId = hash.digest("hex");

const created = "2026-01-01T00:00:00Z";
const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const config = JSON.stringify({
  created,
  architecture: { x64: "amd64", arm64: "arm64" }[process.arch] ?? process.arch,
  os: "linux",
  config: { Env: [`PATH=${path}`], Cmd: ["sh"], ...JSON.parse(values.config) },
  rootfs: { type: "layers", diff_ids: [`sha256:${diffId}`] },
  history: [{ created, created_by: "scripts/make-image" }],
});
const configName = `${createHash("sha256").update(config).digest("hex")}.json`;
const manifest = [{ Config: configName, RepoTags: [values.tag], Layers: ["layer.tar"] }];

const work = mkdtempSync(join(dirname(out), ".make-image-"));
try {
  linkSync(values.rootfs, join(work, "layer.tar"));
  writeFileSync(join(work, configName), config);
  writeFileSync(join(work, "manifest.json"), JSON.stringify(manifest));
  execFileSync("tar", ["-C", work, "-cf", `${out}.part`, "manifest.json", configName, "layer.tar"]);
  renameSync(`${out}.part`, out);
} finally {
  rmSync(work, { recursive: true, force: true });
}
