/** `import`: a root file system as a tar, packed or not -> an image of one layer. */
import type { OciImageConfig, ProgressMessage } from "../../types.ts";
import { configWithChanges } from "../changes.ts";
import { commitFinalImage } from "../commit.ts";
import { TscomposeError } from "../../../errors.ts";
import type { LayerResult } from "../layers/layer-job.ts";
import type { ImageParts } from "../parts.ts";
import { parsePlatform } from "../platform.ts";
import { canonicalName, familiarName, parseReference, withDefaultTag } from "../reference.ts";

export interface ImportOptions {
  /** Name for the image; undefined or empty: none. */
  readonly reference: string | undefined;
  readonly message: string;
  readonly changes: readonly string[];
  /** `os/architecture[/variant]`; default this machine's. */
  readonly platform?: string | undefined;
}

/** @throws image/invalid, request/invalid */
export async function* importRootfs(
  parts: ImageParts,
  tar: AsyncIterable<Buffer>,
  { reference, message, changes, platform }: ImportOptions,
): AsyncGenerator<ProgressMessage> {
  const named = reference === undefined || reference === "" ? undefined : withDefaultTag(parseReference(reference));
  if (named?.digest !== undefined) throw new TscomposeError("request/invalid", "cannot import digest reference");
  const target = platform === undefined || platform === "" ? parts.host : parsePlatform(platform, parts.host);
  const { architecture, os, variant } = target;
  const config = await configWithChanges({}, changes, target);
  const layer = await importLayer(parts, tar);
  const release = parts.catalog.hold([layer.diffId, layer.digest]);
  try {
    const created = new Date().toISOString();
    const image: OciImageConfig = {
      created,
      architecture,
      ...(variant === undefined ? {} : { variant }),
      os,
      config,
      rootfs: { type: "layers", diff_ids: [layer.diffId] },
      history: [{ created, comment: message === "" ? "Imported from -" : message }],
    };
    const stored = commitFinalImage(parts, image, named === undefined ? [] : [canonicalName(named)]);
    parts.catalog.emit(stored, "import", named === undefined ? stored.id : familiarName(named));
    yield { status: stored.id };
  } finally {
    release();
  }
}

async function importLayer(parts: ImageParts, tar: AsyncIterable<Buffer>): Promise<LayerResult> {
  const dir = parts.staging.directory();
  const kept = parts.staging.filePath();
  try {
    const source = { kind: "pushed" as const, keepAs: kept };
    const result = await parts.runner.run({ dir, source, digest: undefined, size: undefined, diffId: undefined }, tar);
    const { digest, size, compression } = result;
    parts.blobs.adopt(kept, digest);
    parts.layers.add(dir, { ...result, blob: { digest, size, compression } });
    parts.ingest.syncSoon();
    return result;
  } catch (error) {
    parts.staging.discard(dir);
    parts.staging.discard(kept);
    throw error;
  }
}
