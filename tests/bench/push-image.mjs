// Pushes a root file system tar as an image of three gzip layers, or one: push-image.mjs REFERENCE ROOTFS.tar WORKDIR [1|3]
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";

const [reference, rootfs, work, count = "3"] = process.argv.slice(2);
const [, registry, name, tag] = /^([^/]+)\/(.+):([^:]+)$/.exec(reference);
const base = `http://${registry}/v2/${name}`;

// Three layers: /usr/lib, the rest of /usr, and everything else.
const tree = join(work, "tree");
if (!existsSync(tree)) {
  mkdirSync(tree);
  execFileSync("tar", ["-C", tree, "-xf", rootfs, "--exclude=./dev/*"]);
}
const three = [
  ["-C", tree, "./usr/lib"],
  ["-C", tree, "--exclude=./usr/lib", "./usr"],
  ["-C", tree, "--exclude=./usr", "."],
];
const parts = count === "1" ? [["-C", tree, "."]] : three;
const layers = [];
for (const part of parts) {
  const file = join(work, `layer-${layers.length}.tar`);
  execFileSync("tar", ["-cf", file, "--numeric-owner", ...part]);
  const hash = createHash("sha256");
  for await (const chunk of createReadStream(file)) hash.update(chunk);
  const packed = gzipSync(readFileSync(file), { level: 6 });
  layers.push({ diffId: `sha256:${hash.digest("hex")}`, packed, size: statSync(file).size });
}
const digest = (bytes) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

async function putBlob(bytes) {
  const start = await fetch(`${base}/blobs/uploads/`, { method: "POST" });
  const location = new URL(start.headers.get("location"), base);
  location.searchParams.set("digest", digest(bytes));
  const end = await fetch(location, {
    method: "PUT",
    body: bytes,
    headers: { "Content-Type": "application/octet-stream" },
  });
  if (end.status !== 201) throw new Error(`blob: ${end.status} ${await end.text()}`);
}
const config = Buffer.from(
  JSON.stringify({
    architecture: "amd64",
    os: "linux",
    config: { Cmd: ["sh"] },
    rootfs: { type: "layers", diff_ids: layers.map((layer) => layer.diffId) },
    history: layers.map(() => ({ created_by: "bench" })),
  }),
);
for (const bytes of [config, ...layers.map((layer) => layer.packed)]) await putBlob(bytes);
const type = "application/vnd.oci.image.manifest.v1+json";
const manifest = JSON.stringify({
  schemaVersion: 2,
  mediaType: type,
  config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: digest(config), size: config.length },
  layers: layers.map(({ packed }) => ({
    mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
    digest: digest(packed),
    size: packed.length,
  })),
});
const answer = await fetch(`${base}/manifests/${tag}`, {
  method: "PUT",
  body: manifest,
  headers: { "Content-Type": type },
});
if (answer.status !== 201) throw new Error(`manifest: ${answer.status} ${await answer.text()}`);
console.error(`bench: image of ${Math.round(layers.reduce((sum, layer) => sum + layer.size, 0) / 1e6)} MB pushed`);
