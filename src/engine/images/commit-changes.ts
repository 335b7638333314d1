/** What a container has changed -> an image over its own. The files are copied: the container goes on with its own. */
import { setImmediate } from "node:timers/promises";
import { TscomposeError } from "../../errors.ts";
import type { ContainerConfig, OciImageConfig } from "../types.ts";
import { configWithChanges } from "./changes.ts";
import { commitFinalImage } from "./commit.ts";
import type { Image } from "./image-records.ts";
import type { LayerResult } from "./layers/layer-job.ts";
import { packDirectory } from "./layers/pack.ts";
import type { ImageParts } from "./parts.ts";
import { canonicalName, familiarName, parseReference, withDefaultTag } from "./reference.ts";
import type { CommitRequest } from "./types.ts";

/** A tar without an entry. */
const emptyTarBytes = 1024;

/** @throws request/invalid for a name or a change that is wrong; image/invalid for files that change too much while they are read */
export async function commitChanges(parts: ImageParts, request: CommitRequest): Promise<string> {
  const base = parts.catalog.resolve(request.baseImageId);
  const named = request.reference === "" ? undefined : withDefaultTag(parseReference(request.reference));
  if (named?.digest !== undefined) throw new TscomposeError("request/invalid", "cannot commit to digest reference");
  const config = await configWithChanges(request.config, request.changes, parts.host);
  const layer = await copyLayer(parts, request.upperDir);
  const release = parts.catalog.hold([...base.config.rootfs.diff_ids, ...(layer === undefined ? [] : [layer.diffId])]);
  try {
    const image = imageOver(base, { request, config, layer });
    const stored = commitFinalImage(parts, image, named === undefined ? [] : [canonicalName(named)]);
    if (named !== undefined) parts.catalog.emit(stored, "tag", familiarName(named));
    return stored.id;
  } finally {
    release();
  }
}

function imageOver(
  base: Image,
  made: {
    readonly request: CommitRequest;
    readonly config: ContainerConfig;
    readonly layer: LayerResult | undefined;
  },
): OciImageConfig {
  const { author, comment, createdBy } = made.request;
  const created = new Date().toISOString();
  const diffIds = base.config.rootfs.diff_ids;
  const step = {
    created,
    created_by: createdBy,
    ...(author === "" ? {} : { author }),
    ...(comment === "" ? {} : { comment }),
    ...(made.layer === undefined ? { empty_layer: true } : {}),
  };
  const { author: _, ...rest } = base.config;
  return {
    ...rest,
    created,
    ...(author === "" ? {} : { author }),
    config: made.config,
    rootfs: { type: "layers", diff_ids: made.layer === undefined ? diffIds : [...diffIds, made.layer.diffId] },
    history: [...(base.config.history ?? []), step],
  };
}

/** Undefined when there is nothing in it. */
async function copyLayer(parts: ImageParts, upperDir: string): Promise<LayerResult | undefined> {
  const dir = parts.staging.directory();
  try {
    const source = { kind: "pushed" as const, keepAs: undefined };
    const job = { dir, source, digest: undefined, size: undefined, diffId: undefined };
    const result = await parts.runner.run(job, packed(upperDir));
    if (result.tarBytes <= emptyTarBytes) {
      parts.staging.discard(dir);
      return undefined;
    }
    parts.layers.add(dir, { ...result, blob: undefined });
    parts.ingest.syncSoon();
    return result;
  } catch (error) {
    parts.staging.discard(dir);
    throw error;
  }
}

/** Everything else the engine does gets its turn between two chunks. */
async function* packed(directory: string): AsyncGenerator<Buffer> {
  for (const chunk of packDirectory(directory)) {
    yield Buffer.from(chunk);
    await setImmediate();
  }
}
