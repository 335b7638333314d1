/** `pull`: everything that can refuse happens before the first message; then layers are downloaded, checked and unpacked at the
 *  same time, a few in parallel, each once however many pulls want it. The image gets its names last, when all of it is there. */
import { isTscomposeError, TscomposeError } from "../../errors.ts";
import type { PullOptions } from "../engine.ts";
import type { OciImageConfig, ProgressMessage, RegistryCredentials } from "../types.ts";
import { algorithmOf, digestOf } from "./digest.ts";
import { runsAs } from "./image-platform.ts";
import { assertImageLayers, parseConfig, type Descriptor, type Manifest } from "./manifest.ts";
import type { ImageParts } from "./parts.ts";
import { choosePlatform, formatPlatform, normalise, parsePlatform, type Platform } from "./platform.ts";
import { ProgressStream } from "./progress.ts";
import {
  canonicalName,
  familiarName,
  parseReference,
  repositoryOf,
  withDefaultTag,
  type Reference,
} from "./reference.ts";
import { credentialsFromConfig, type Environment } from "./registry/credentials.ts";
import { endpointsFor, type Endpoint } from "./registry/endpoint.ts";
import { downloadBlob, fetchDocument, fetchManifest, type FetchedManifest, type Repository } from "./registry/fetch.ts";
import type { HttpConnections } from "./registry/http.ts";
import type { RegistryConfig } from "./registry/registry-config.ts";
import { RegistrySession } from "./registry/session.ts";
import { short } from "./remove.ts";

export interface RegistryAccess {
  readonly config: RegistryConfig;
  readonly connections: HttpConnections;
  readonly env: Environment;
}

interface Resolved {
  readonly reference: Reference;
  readonly repository: Repository;
  /** What the name stands for, an index or the manifest itself. */
  readonly top: Descriptor;
  readonly manifest: Manifest;
  readonly fetched: FetchedManifest;
  readonly id: string;
  readonly configBytes: Buffer;
  readonly config: OciImageConfig;
}

/** @throws before the first message: request/invalid, image/not-found, image/pull-denied, registry/unreachable, registry/failed,
 *  image/invalid, image/digest-mismatch */
export async function pullImage(
  parts: ImageParts,
  access: RegistryAccess,
  options: PullOptions,
): Promise<AsyncIterable<ProgressMessage>> {
  const reference = withDefaultTag(parseReference(options.reference));
  if (reference.domain === "docker.io" && reference.path === "library/scratch") {
    throw new TscomposeError("request/invalid", "'scratch' is a reserved name", { details: { httpStatus: 403 } });
  }
  const resolved = await resolveImage(parts, access, { ...options, reference });
  const progress = new ProgressStream();
  void fetchImage(parts, resolved, progress).then(
    () => progress.end(),
    (error: unknown) => progress.fail(error),
  );
  return progress;
}

interface ResolveOptions {
  readonly reference: Reference;
  readonly platform: string | undefined;
  readonly credentials: RegistryCredentials | undefined;
  readonly signal: AbortSignal;
}

/** Mirrors come first; one that fails or does not have it is passed over. */
async function resolveImage(parts: ImageParts, access: RegistryAccess, options: ResolveOptions): Promise<Resolved> {
  const { reference } = options;
  const wanted =
    options.platform === undefined || options.platform === ""
      ? parts.host
      : parsePlatform(options.platform, parts.host);
  for (const endpoint of endpointsFor(reference.domain, access.config)) {
    const own = endpoint.mirror ? await mirrorCredentials(access, endpoint) : options.credentials;
    const repository = openRepository(access, { endpoint, reference, credentials: own, signal: options.signal });
    try {
      return await resolveAt(parts, repository, { reference, wanted, explicit: (options.platform ?? "") !== "" });
    } catch (error) {
      if (!endpoint.mirror || isTscomposeError(error, "aborted")) throw error;
    }
  }
  throw new TscomposeError("registry/failed", `no registry for ${canonicalName(reference)}`);
}

/** What the client gave is for the registry that it named. A mirror is the engine's: it is asked for as the engine's user. */
export async function mirrorCredentials(
  { env }: RegistryAccess,
  { host }: Endpoint,
): Promise<RegistryCredentials | undefined> {
  return await credentialsFromConfig(host, env);
}

export function openRepository(
  access: RegistryAccess,
  options: {
    readonly endpoint: Endpoint;
    readonly reference: Reference;
    readonly credentials: RegistryCredentials | undefined;
    readonly signal: AbortSignal;
    readonly scopes?: readonly string[];
  },
): Repository {
  const { endpoint, reference, credentials, signal } = options;
  const scopes = options.scopes ?? [`repository:${reference.path}:pull`];
  const session = new RegistrySession({ endpoint, connections: access.connections, credentials, scopes, signal });
  return { session, path: reference.path, name: repositoryOf(reference), signal };
}

async function resolveAt(
  parts: ImageParts,
  repository: Repository,
  {
    reference,
    wanted,
    explicit,
  }: { readonly reference: Reference; readonly wanted: Platform; readonly explicit: boolean },
): Promise<Resolved> {
  const name = familiarName(reference);
  const first = await fetchManifest(repository, reference.digest ?? reference.tag ?? "latest");
  const fetched = await choose(repository, first, { wanted, name });
  const manifest = fetched.content;
  if (manifest.kind === "index")
    throw new TscomposeError("image/invalid", `${name}: an index within an index within an index`);
  assertImageLayers(manifest, name);
  const configBytes = parts.blobs.has(manifest.config.digest)
    ? parts.blobs.read(manifest.config.digest)
    : await fetchDocument(repository, manifest.config);
  const config = parseConfig(configBytes, `configuration of ${name}`);
  if (config.rootfs.diff_ids.length !== manifest.layers.length) {
    throw new TscomposeError(
      "image/invalid",
      `${name}: the configuration names ${config.rootfs.diff_ids.length} layers but the manifest ${manifest.layers.length}`,
    );
  }
  const found = normalise({ os: config.os, architecture: config.architecture, variant: config.variant });
  if (explicit && choosePlatform([{ platform: found }], wanted) === undefined) {
    throw new TscomposeError(
      "image/not-found",
      `image with reference ${name} was found but its platform (${formatPlatform(found)}) does not match the specified platform (${formatPlatform(wanted)})`,
    );
  }
  const id = algorithmOf(manifest.config.digest) === "sha256" ? manifest.config.digest : digestOf(configBytes);
  return { reference, repository, top: first.descriptor, manifest, fetched, id, configBytes, config };
}

/** Through at most two levels of indexes. */
async function choose(
  repository: Repository,
  first: FetchedManifest,
  { wanted, name }: { readonly wanted: Platform; readonly name: string },
): Promise<FetchedManifest> {
  let current = first;
  for (let depth = 0; depth < 2 && current.content.kind === "index"; depth++) {
    const { entries } = current.content;
    const entry =
      choosePlatform(entries, wanted) ??
      (entries.length === 1 && entries[0]?.platform === undefined ? entries[0] : undefined);
    if (entry === undefined) {
      throw new TscomposeError(
        "image/not-found",
        `no matching manifest for ${formatPlatform(wanted)} in the manifest list entries of ${name}`,
        {
          hint: `it has ${entries.flatMap(({ platform }) => (platform === undefined || platform.os === "unknown" ? [] : [formatPlatform(platform)])).join(", ")}`,
        },
      );
    }
    current = await fetchManifest(repository, entry.digest);
    if (current.descriptor.size !== entry.size || current.descriptor.mediaType !== entry.mediaType) {
      throw new TscomposeError("image/invalid", `${name}: manifest ${entry.digest} is not what the index says it is`);
    }
  }
  return current;
}

async function fetchImage(parts: ImageParts, resolved: Resolved, progress: ProgressStream): Promise<void> {
  const { reference, manifest, config, fetched, id, top } = resolved;
  const { blobs, catalog } = parts;
  progress.push({ status: `Pulling from ${reference.path}`, id: reference.digest ?? reference.tag ?? "latest" });
  const needed = [
    id,
    fetched.descriptor.digest,
    ...config.rootfs.diff_ids,
    ...manifest.layers.map(({ digest }) => digest),
  ];
  const release = catalog.hold(needed);
  try {
    await fetchLayers(parts, resolved, progress);
    parts.layers.settleImpliedDirs(config.rootfs.diff_ids);
    blobs.write(resolved.configBytes);
    blobs.write(fetched.bytes);
    const digestName = canonicalName({ ...reference, tag: undefined, digest: top.digest });
    const named = reference.digest === undefined && !keepsTag(parts, resolved, digestName);
    const tags = named ? [canonicalName(reference)] : [];
    const before = catalog.all().find((image) => image.id === id);
    const newer =
      before === undefined || !tags.every((tag) => before.tags.includes(tag)) || !before.digests.includes(digestName);
    const image = newer ? catalog.add({ id, manifest: fetched.descriptor, tags, digests: [digestName] }) : before;
    const name = familiarName(reference);
    catalog.emit(image, "pull", name);
    progress.push({ status: `Digest: ${top.digest}` });
    progress.push({ status: `Status: ${newer ? "Downloaded newer image" : "Image is up to date"} for ${name}` });
  } finally {
    release();
  }
}

/** A further platform of an index whose image for this machine has the tag: that one keeps it. */
function keepsTag(parts: ImageParts, { reference, id, config }: Resolved, digestName: string): boolean {
  const owner = parts.catalog.find(canonicalName(reference));
  if (owner === undefined || owner.id === id || !owner.digests.includes(digestName)) return false;
  return runsAs(owner.config, parts.host) && !runsAs(config, parts.host);
}

async function fetchLayers(parts: ImageParts, resolved: Resolved, progress: ProgressStream): Promise<void> {
  const seen = new Set<string>();
  const wanted = resolved.manifest.layers.flatMap((layer, i) => {
    const diffId = resolved.config.rootfs.diff_ids[i] ?? "";
    if (seen.has(diffId)) return [];
    seen.add(diffId);
    const known = parts.layers.get(diffId) !== undefined;
    progress.push({
      status: known ? "Already exists" : "Pulling fs layer",
      progressDetail: {},
      id: short(layer.digest),
    });
    return known ? [] : [{ layer, diffId }];
  });
  // The largest first: the last to finish is then as short as can be. The first failure stops the others.
  const stop = new AbortController();
  const signal = AbortSignal.any([resolved.repository.signal, stop.signal]);
  const repository = { ...resolved.repository, signal };
  const results = await Promise.allSettled(
    wanted
      .toSorted((a, b) => b.layer.size - a.layer.size)
      .map(async (item) => {
        try {
          await fetchLayer(parts, { ...item, repository }, progress);
        } catch (error) {
          stop.abort();
          throw error;
        }
      }),
  );
  const failures = results.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
  if (failures.length > 0) throw failures.find((error) => !isTscomposeError(error, "aborted")) ?? failures[0];
}

interface WantedLayer {
  readonly layer: Descriptor;
  readonly diffId: string;
  readonly repository: Repository;
}

/** Another pull may be fetching the same layer; if that one is given up, this one takes over. */
async function fetchLayer(parts: ImageParts, wanted: WantedLayer, progress: ProgressStream): Promise<void> {
  const id = short(wanted.layer.digest);
  for (;;) {
    let own = false;
    try {
      await parts.ingest.ensure(wanted.diffId, (dir) => {
        own = true;
        return downloadLayer(parts, { ...wanted, dir }, progress);
      });
      progress.push({ status: "Pull complete", progressDetail: {}, id });
      return;
    } catch (error) {
      if (own || wanted.repository.signal.aborted || !isTscomposeError(error, "aborted")) throw error;
    }
  }
}

async function downloadLayer(
  parts: ImageParts,
  { layer, diffId, repository, dir }: WantedLayer & { readonly dir: string },
  progress: ProgressStream,
) {
  const id = short(layer.digest);
  const kept = parts.staging.filePath();
  const stored = parts.blobs.size(layer.digest) === layer.size;
  const source = stored
    ? { kind: "file" as const, path: parts.blobs.path(layer.digest) }
    : { kind: "pushed" as const, keepAs: kept };
  const job = { dir, source, digest: layer.digest, size: layer.size, diffId };
  try {
    const bytes = stored ? undefined : counted(downloadBlob(repository, layer), { id, total: layer.size, progress });
    const result = await parts.runner.run(job, bytes);
    if (!stored) parts.blobs.adopt(kept, layer.digest);
    return result;
  } catch (error) {
    // A stored blob that turns out to be damaged is fetched anew by the next pull.
    if (stored && isTscomposeError(error, "image/digest-mismatch")) parts.blobs.delete(layer.digest);
    parts.staging.discard(kept);
    throw error;
  }
}

const countEveryMs = 100;

async function* counted(
  chunks: AsyncIterable<Buffer>,
  { id, total, progress }: { readonly id: string; readonly total: number; readonly progress: ProgressStream },
): AsyncGenerator<Buffer> {
  let current = 0;
  let saidAt = 0;
  for await (const chunk of chunks) {
    current += chunk.length;
    const now = performance.now();
    if (now - saidAt >= countEveryMs) {
      saidAt = now;
      progress.count(id, "Downloading", { current, total });
    }
    yield chunk;
  }
  progress.push({ status: "Verifying Checksum", progressDetail: {}, id });
  progress.push({ status: "Download complete", progressDetail: {}, id });
  progress.count(id, "Extracting", { current: total, total });
}
