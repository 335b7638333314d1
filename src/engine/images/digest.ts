/** Content digests. Pure. Source: OCI image-spec descriptor.md (sha256 and sha512, lower-case hex) and config.md (chain ids). */
import { createHash } from "node:crypto";
import { TscomposeError } from "../../errors.ts";

const pattern = /^(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})$/;

export function isDigest(text: string): boolean {
  return pattern.test(text);
}

/** @throws image/invalid for another algorithm, upper-case or too little hex */
export function assertDigest(text: unknown, subject: string): string {
  if (typeof text === "string" && isDigest(text)) return text;
  throw new TscomposeError("image/invalid", `${subject}: not a digest: ${JSON.stringify(text)?.slice(0, 120)}`, {
    hint: "only sha256 and sha512 digests in lower-case hex are accepted",
  });
}

/** `sha256` of `sha256:abc`. */
export function algorithmOf(digest: string): "sha256" | "sha512" {
  return digest.startsWith("sha512:") ? "sha512" : "sha256";
}

/** The hex part. */
export function hexOf(digest: string): string {
  return digest.slice(digest.indexOf(":") + 1);
}

/** Digest of the bytes. */
export function digestOf(content: string | Buffer, algorithm: "sha256" | "sha512" = "sha256"): string {
  return `${algorithm}:${createHash(algorithm).update(content).digest("hex")}`;
}

/** Chain id of a layer on top of a chain. Source: OCI image-spec config.md, "Layer ChainID". */
export function nextChainId(parent: string | undefined, diffId: string): string {
  return parent === undefined ? diffId : digestOf(`${parent} ${diffId}`);
}

/** Chain id after each layer, lowest first. */
export function chainIds(diffIds: readonly string[]): readonly string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) chain.push(nextChainId(chain.at(-1), diffId));
  return chain;
}
