/** Manifests and manifest lists: bytes -> checked data. Pure. Source: OCI image-spec manifest.md, image-index.md; distribution
 *  manifest-v2-2; security.md I-03 to I-08. */
import { TscomposeError } from "../../errors.ts";
import type { OciImageConfig } from "../types.ts";
import { assertDigest } from "./digest.ts";
import { isObject, parseObject, type JsonObject } from "./json.ts";
import { dockerManifest, isIndex, isManifest, layerCompression, ociIndex, ociManifest } from "./media-types.ts";
import type { Platform } from "./platform.ts";

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}
export interface IndexEntry extends Descriptor {
  readonly platform: Platform | undefined;
  readonly annotations: Readonly<Record<string, string>>;
}
export interface Manifest {
  readonly kind: "manifest";
  readonly mediaType: string;
  readonly config: Descriptor;
  readonly layers: readonly Descriptor[];
}
export interface Index {
  readonly kind: "index";
  readonly mediaType: string;
  readonly entries: readonly IndexEntry[];
}

const maxIndexEntries = 4096;
/** overlayfs stacks at most 500 lower directories. */
const maxLayers = 500;

/** @param mediaType what the transport said it is; undefined: the document itself must tell
 *  @throws image/invalid where the document, its own mediaType field and the transport disagree */
export function parseManifest(content: Buffer, mediaType: string | undefined, subject: string): Manifest | Index {
  const document = parseObject(content, subject);
  if (document["schemaVersion"] !== 2) {
    throw invalid(subject, `has schema version ${JSON.stringify(document["schemaVersion"])}, only 2 is supported`);
  }
  const type = agreedMediaType(document, mediaType, subject);
  if (isIndex(type)) return parseIndex(document, type, subject);
  if (isManifest(type)) return parseImageManifest(document, type, subject);
  throw invalid(subject, `has the unsupported media type ${JSON.stringify(type)}`);
}

function agreedMediaType(document: JsonObject, transport: string | undefined, subject: string): string {
  const own = document["mediaType"];
  if (own !== undefined && typeof own !== "string") throw invalid(subject, "has a mediaType that is not text");
  const hasLayers = Object.hasOwn(document, "layers") || Object.hasOwn(document, "config");
  const hasManifests = Object.hasOwn(document, "manifests");
  if (hasLayers && hasManifests) throw invalid(subject, "is an image and an index at once");
  const generic = transport === undefined || transport === "" || transport === "application/json";
  const said = generic ? undefined : transport;
  if (own !== undefined && said !== undefined && own !== said) {
    throw invalid(subject, `calls itself ${JSON.stringify(own)} but was delivered as ${JSON.stringify(said)}`);
  }
  const type = own ?? said ?? (hasManifests ? ociIndex : ociManifest);
  if (isIndex(type) !== hasManifests && (isIndex(type) || isManifest(type))) {
    throw invalid(subject, `does not have the content of ${JSON.stringify(type)}`);
  }
  return type;
}

function parseIndex(document: JsonObject, mediaType: string, subject: string): Index {
  const manifests = document["manifests"];
  if (!Array.isArray(manifests)) throw invalid(subject, "has no list of manifests");
  if (manifests.length > maxIndexEntries) throw invalid(subject, `lists more than ${maxIndexEntries} manifests`);
  const entries = manifests.map((entry: unknown): IndexEntry => {
    const descriptor = parseDescriptor(entry, subject);
    const object = entry as JsonObject;
    return {
      ...descriptor,
      platform: parseEntryPlatform(object["platform"]),
      annotations: textMap(object["annotations"]),
    };
  });
  return { kind: "index", mediaType, entries };
}

function parseEntryPlatform(value: unknown): Platform | undefined {
  if (!isObject(value)) return undefined;
  const { os, architecture, variant } = value;
  if (typeof os !== "string" || typeof architecture !== "string") return undefined;
  return { os, architecture, variant: typeof variant === "string" ? variant : undefined };
}

function textMap(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}

function parseImageManifest(document: JsonObject, mediaType: string, subject: string): Manifest {
  const layers = document["layers"];
  if (!Array.isArray(layers)) throw invalid(subject, "has no list of layers");
  if (layers.length > maxLayers) throw invalid(subject, `has more than ${maxLayers} layers`);
  return {
    kind: "manifest",
    mediaType,
    config: parseDescriptor(document["config"], `config of ${subject}`),
    layers: layers.map((layer: unknown) => parseDescriptor(layer, `a layer of ${subject}`)),
  };
}

export function parseDescriptor(value: unknown, subject: string): Descriptor {
  if (!isObject(value)) throw invalid(subject, "has a descriptor that is not an object");
  const { mediaType, digest, size } = value;
  if (typeof mediaType !== "string") throw invalid(subject, "has a descriptor without a media type");
  if (typeof size !== "number" || !Number.isSafeInteger(size) || size < 0) {
    throw invalid(subject, `has a descriptor with the size ${JSON.stringify(size)}`);
  }
  return { mediaType, digest: assertDigest(digest, subject), size };
}

/** @throws request/unsupported for an artifact that is not an image */
export function assertImageLayers(manifest: Manifest, subject: string): void {
  const strange = manifest.layers.find(({ mediaType }) => layerCompression(mediaType) === undefined);
  if (strange === undefined) return;
  throw new TscomposeError("image/invalid", `${subject} is not a container image: it has ${strange.mediaType}`, {
    hint: "it is an artifact of another kind; use the tool that made it",
  });
}

/** @throws image/invalid for a configuration whose layers cannot be those of the manifest */
export function parseConfig(content: Buffer, subject: string): OciImageConfig {
  const document = parseObject(content, subject);
  const rootfs = document["rootfs"];
  if (!isObject(rootfs) || rootfs["type"] !== "layers") throw invalid(subject, 'has no rootfs of type "layers"');
  const diffIds = rootfs["diff_ids"] ?? [];
  if (!Array.isArray(diffIds) || diffIds.length > maxLayers) throw invalid(subject, "has a wrong list of layers");
  const checked = diffIds.map((id: unknown) => assertDigest(id, subject));
  const { architecture, os } = document;
  if (typeof architecture !== "string" || typeof os !== "string") throw invalid(subject, "names no platform");
  checkRunConfig(document["config"], subject);
  checkHistory(document["history"], subject);
  return {
    ...document,
    architecture,
    os: os === "" ? "linux" : os,
    rootfs: { type: "layers", diff_ids: checked },
  } as unknown as OciImageConfig;
}

const textLists = ["Env", "Cmd", "Entrypoint", "OnBuild", "Shell"];
const maps = ["ExposedPorts", "Volumes", "Labels"];
const texts = ["User", "WorkingDir", "StopSignal", "Hostname", "Domainname", "Image"];

function checkRunConfig(value: unknown, subject: string): void {
  if (value === undefined || value === null) return;
  if (!isObject(value)) throw invalid(subject, "has a config that is not an object");
  const wrong =
    textLists.find((key) => value[key] !== undefined && value[key] !== null && !isTextList(value[key])) ??
    maps.find((key) => value[key] !== undefined && value[key] !== null && !isObject(value[key])) ??
    texts.find((key) => value[key] !== undefined && typeof value[key] !== "string");
  if (wrong !== undefined) throw invalid(subject, `has a value of the wrong type in config.${wrong}`);
  const labels = isObject(value["Labels"]) ? Object.values(value["Labels"]) : [];
  if (!labels.every((label) => typeof label === "string")) throw invalid(subject, "has a label that is not text");
}

function checkHistory(value: unknown, subject: string): void {
  if (value === undefined || value === null) return;
  if (!Array.isArray(value) || !value.every(isObject)) throw invalid(subject, "has a history that is not a list");
}

function isTextList(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

/** The manifest we write for images made here. */
export function renderManifest(config: Descriptor, layers: readonly Descriptor[]): Buffer {
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: dockerManifest, config, layers }));
}

function invalid(subject: string, what: string): TscomposeError {
  return new TscomposeError("image/invalid", `${subject} ${what}`);
}
