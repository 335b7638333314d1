/** An image as Docker's API shows it: list entry, inspection, history. Pure. */
import type { ContainerConfig, ImageHistoryItem, ImageInspect, ImageManifestSummary, ImageSummary } from "../types.ts";
import type { Image } from "./image-records.ts";
import { familiarName, tryParseReference } from "./reference.ts";

export interface ImageFacts {
  readonly sizeBytes: number;
  /** Directories of the layers, lowest first. */
  readonly layerDirs: readonly string[];
  /** Size of each layer, lowest first. */
  readonly layerSizes: readonly number[];
  /** Ids of those that use it. */
  readonly containers: readonly string[];
  /** Bytes that are stored packed: manifest, configuration, layers as they came or went. */
  readonly packedBytes: number;
}

export function familiar(names: readonly string[]): readonly string[] {
  return names.map((name) => {
    const reference = tryParseReference(name);
    return reference === undefined ? name : familiarName(reference);
  });
}

/** Unix seconds; 0 when the image does not say. */
export function createdSeconds(image: Image): number {
  return seconds(image.config.created);
}

function seconds(time: string | undefined): number {
  const ms = Date.parse(time ?? "");
  return Number.isNaN(ms) ? 0 : Math.floor(ms / 1000);
}

export function summarise(image: Image, facts: ImageFacts): ImageSummary {
  return {
    Id: image.id,
    ParentId: "",
    RepoTags: familiar(image.tags),
    RepoDigests: familiar(image.digests),
    Created: createdSeconds(image),
    Size: facts.sizeBytes,
    SharedSize: -1,
    Labels: image.config.config?.Labels ?? null,
    Containers: facts.containers.length,
  };
}

export function manifestOf(image: Image, facts: ImageFacts): ImageManifestSummary {
  const { os, architecture, variant } = image.config;
  const platform = { architecture, os, ...(variant === undefined ? {} : { variant }) };
  const { mediaType, digest, size } = image.manifest;
  return {
    ID: digest,
    Descriptor: { mediaType, digest, size, platform },
    Available: true,
    Size: { Content: facts.packedBytes, Total: facts.packedBytes + facts.sizeBytes },
    Kind: "image",
    ImageData: { Platform: platform, Size: { Unpacked: facts.sizeBytes }, Containers: facts.containers },
  };
}

export function inspectImage(image: Image, facts: ImageFacts): ImageInspect {
  const { config } = image;
  const [top, ...lower] = facts.layerDirs.toReversed();
  return {
    Id: image.id,
    RepoTags: familiar(image.tags),
    RepoDigests: familiar(image.digests),
    Parent: "",
    Comment: config.history?.at(-1)?.comment ?? "",
    Created: config.created ?? "",
    Author: config.author ?? "",
    Config: dockerConfig(config.config),
    Architecture: config.architecture,
    ...(config.variant === undefined ? {} : { Variant: config.variant }),
    Os: config.os,
    Size: facts.sizeBytes,
    GraphDriver: {
      Name: "overlay2",
      Data: {
        ...(lower.length === 0 ? {} : { LowerDir: lower.join(":") }),
        ...(top === undefined ? {} : { UpperDir: top }),
      },
    },
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Metadata: { LastTagTime: image.lastTagTime },
  };
}

/** Clients read these keys without asking whether they are there. */
function dockerConfig(config: ContainerConfig | undefined): ContainerConfig {
  return {
    ...config,
    User: config?.User ?? "",
    Env: config?.Env ?? null,
    Cmd: config?.Cmd ?? null,
    Entrypoint: config?.Entrypoint ?? null,
    Volumes: config?.Volumes ?? null,
    WorkingDir: config?.WorkingDir ?? "",
    Labels: config?.Labels ?? null,
    OnBuild: config?.OnBuild ?? null,
  };
}

/** Newest first; only the top one has an id and names. Layers without a line of history get one of their own. */
export function historyOf(image: Image, layerSizes: readonly number[]): readonly ImageHistoryItem[] {
  const sizes = [...layerSizes];
  const steps = image.config.history ?? [];
  const items = steps.map((step) => ({
    Id: "<missing>",
    Created: seconds(step.created),
    CreatedBy: step.created_by ?? "",
    Tags: null,
    Size: step.empty_layer === true ? 0 : (sizes.shift() ?? 0),
    Comment: step.comment ?? "",
  }));
  const unexplained = sizes.map((Size) => ({
    Id: "<missing>",
    Created: 0,
    CreatedBy: "",
    Tags: null,
    Size,
    Comment: "",
  }));
  const [newest, ...older] = [...items, ...unexplained].toReversed();
  if (newest === undefined) return [];
  const tags = familiar(image.tags);
  return [{ ...newest, Id: image.id, Tags: tags.length === 0 ? null : tags }, ...older];
}
