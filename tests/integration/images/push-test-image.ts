/** Puts a small image of several layers into a registry with nothing but curl, tar and gzip: none of the code under test. */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface PushedImage {
  readonly id: string;
  /** Of the manifest. */
  readonly digest: string;
  /** Of a manifest list with the image for this platform and another entry, tagged `multi`. */
  readonly indexDigest: string;
  readonly layers: readonly { readonly digest: string; readonly files: readonly string[] }[];
}
export interface PushTestOptions {
  /** `user:password`. */
  readonly user?: string;
  /** Makes the content of the layers different. */
  readonly salt?: string;
  readonly compression?: "gzip" | "zstd" | "none";
}

const names = ["one", "two", "three"];
const sha256 = (content: Buffer): string => `sha256:${createHash("sha256").update(content).digest("hex")}`;

export async function pushTestImage(
  url: string,
  repository: string,
  tag: string,
  options: PushTestOptions = {},
): Promise<PushedImage> {
  const dir = mkdtempSync(join(tmpdir(), "push-"));
  try {
    const layers = names.map((name) => makeLayer(dir, name, options));
    const config = Buffer.from(
      JSON.stringify({
        architecture: { x64: "amd64", arm64: "arm64" }[process.arch as string] ?? process.arch,
        os: "linux",
        created: "2026-01-01T00:00:00Z",
        config: { Cmd: ["sh"], Labels: { from: "test" } },
        rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
      }),
    );
    const target = { url, repository, dir, options };
    for (const content of [config, ...layers.map(({ packed }) => packed)]) uploadBlob(target, content);
    const suffix = { gzip: "+gzip", zstd: "+zstd", none: "" }[options.compression ?? "gzip"];
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.manifest.v1+json",
        config: { mediaType: "application/vnd.oci.image.config.v1+json", digest: sha256(config), size: config.length },
        layers: layers.map(({ packed }) => ({
          mediaType: `application/vnd.oci.image.layer.v1.tar${suffix}`,
          digest: sha256(packed),
          size: packed.length,
        })),
      }),
    );
    putManifest(target, tag, manifest, "application/vnd.oci.image.manifest.v1+json");
    const { architecture } = JSON.parse(config.toString()) as { architecture: string };
    const entry = {
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      digest: sha256(manifest),
      size: manifest.length,
    };
    const index = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: "application/vnd.oci.image.index.v1+json",
        manifests: [
          { ...entry, platform: { os: "unknown", architecture: "unknown" } },
          { ...entry, platform: { os: "linux", architecture: "riscv64" } },
          { ...entry, platform: { os: "linux", architecture } },
        ],
      }),
    );
    putManifest(target, "multi", index, "application/vnd.oci.image.index.v1+json");
    return {
      id: sha256(config),
      digest: sha256(manifest),
      indexDigest: sha256(index),
      layers: layers.map(({ packed }, i) => ({ digest: sha256(packed), files: [names[i] ?? ""] })),
    };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function makeLayer(
  dir: string,
  name: string,
  { salt = "", compression = "gzip" }: PushTestOptions,
): { readonly packed: Buffer; readonly diffId: string } {
  const root = join(dir, `root-${name}`);
  mkdirSync(root);
  writeFileSync(join(root, name), `content of ${name}\n${salt}`);
  const tar = execFileSync("tar", ["-C", root, "--mtime=@0", "--owner=0", "--group=0", "-cf", "-", name]);
  const packers = { gzip: ["gzip", "-nc"], zstd: ["zstd", "-qc"], none: ["cat"] };
  const [program = "", ...args] = packers[compression];
  return { packed: execFileSync(program, args, { input: tar }), diffId: sha256(tar) };
}

interface Target {
  readonly url: string;
  readonly repository: string;
  readonly dir: string;
  readonly options: PushTestOptions;
}

function curl({ options }: Target, args: readonly string[]): string {
  const login = options.user === undefined ? [] : ["-u", options.user];
  return execFileSync("curl", ["-sSfk", ...login, ...args], { encoding: "utf8" });
}

function uploadBlob(target: Target, content: Buffer): void {
  const base = `${target.url}/v2/${target.repository}/blobs/uploads/`;
  const location =
    /^location:\s*(\S+)/im.exec(curl(target, ["-X", "POST", "-D", "-", "-o", "/dev/null", base]))?.[1] ?? "";
  const file = join(target.dir, "upload");
  writeFileSync(file, content);
  const full = new URL(location, target.url);
  full.searchParams.set("digest", sha256(content));
  curl(target, ["-X", "PUT", "-H", "content-type: application/octet-stream", "--data-binary", `@${file}`, full.href]);
}

function putManifest(target: Target, reference: string, content: Buffer, mediaType: string): void {
  const file = join(target.dir, "manifest");
  writeFileSync(file, content);
  curl(target, [
    "-X",
    "PUT",
    "-H",
    `content-type: ${mediaType}`,
    "--data-binary",
    `@${file}`,
    `${target.url}/v2/${target.repository}/manifests/${reference}`,
  ]);
}
