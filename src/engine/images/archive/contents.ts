/** What an archive holds: docker's manifest.json, an OCI layout's index.json, or docker's old format -> images to load.
 *  Pure but for reading the members. Source: docker image-spec v1.2; OCI image-layout.md; engine-api.md 5.4. */
import { TscomposeError } from "../../../errors.ts";
import type { OciImageConfig } from "../../types.ts";
import { isObject, parseJson } from "../json.ts";
import { assertImageLayers, parseConfig, parseManifest, type Descriptor, type IndexEntry } from "../manifest.ts";
import { isIndex } from "../media-types.ts";
import { choosePlatform, type Platform } from "../platform.ts";
import { canonicalName, parseReference, tryParseReference, withDefaultTag } from "../reference.ts";
import { legacyImages } from "./legacy.ts";
import { blobMember, textList, verifiedDocument, type ArchivedImage, type ArchiveMembers } from "./members.ts";

const maxImages = 4096;

/** @throws image/invalid */
export function archiveContents(members: ArchiveMembers, host: Platform): readonly ArchivedImage[] {
  const docker = members.has("manifest.json") ? dockerImages(members) : [];
  if (members.has("index.json") && members.has("oci-layout")) return mergeTags(ociImages(members, host), docker);
  if (members.has("manifest.json")) return docker;
  if (members.has("repositories")) return legacyImages(members);
  throw new TscomposeError(
    "image/invalid",
    "the archive holds no image: neither manifest.json nor index.json nor repositories",
    {
      hint: "make it with `docker save` or a tool that writes OCI layouts; a root file system is taken in with import",
    },
  );
}

/** `docker save` writes both descriptions: names come from either. */
function mergeTags(images: readonly ArchivedImage[], docker: readonly ArchivedImage[]): readonly ArchivedImage[] {
  return images.map((image) => {
    const same = docker.filter(({ configBytes }) => configBytes.equals(image.configBytes));
    return { ...image, tags: [...new Set([...image.tags, ...same.flatMap(({ tags }) => tags)])] };
  });
}

function dockerImages(members: ArchiveMembers): readonly ArchivedImage[] {
  const list = parseJson(members.document("manifest.json"), "manifest.json");
  if (!Array.isArray(list) || list.length > maxImages)
    throw new TscomposeError("image/invalid", "manifest.json is not a list of images");
  return list.map((item: unknown) => {
    if (!isObject(item) || typeof item["Config"] !== "string")
      throw new TscomposeError("image/invalid", "manifest.json has an entry without Config");
    const layers = textList(item["Layers"] ?? [], "Layers");
    const tags = textList(item["RepoTags"] ?? [], "RepoTags").map((tag) =>
      canonicalName(withDefaultTag(parseReference(tag))),
    );
    const configBytes = members.document(item["Config"]);
    const config = parseConfig(configBytes, item["Config"]);
    assertSameCount(config, layers.length);
    return { configBytes, config, tags, layerMembers: layers, manifest: undefined };
  });
}

function ociImages(members: ArchiveMembers, host: Platform): readonly ArchivedImage[] {
  const index = parseManifest(members.document("index.json"), undefined, "index.json");
  if (index.kind !== "index") throw new TscomposeError("image/invalid", "index.json is not an index");
  const images = index.entries.filter(isImageEntry).map((entry) => ociImage(members, entry, host));
  const merged = new Map<string, ArchivedImage>();
  for (const image of images) {
    const key = image.configBytes.toString("latin1");
    merged.set(key, { ...image, tags: [...new Set([...(merged.get(key)?.tags ?? []), ...image.tags])] });
  }
  return [...merged.values()];
}

/** Attestations sit beside images under the platform unknown/unknown. */
function isImageEntry(entry: IndexEntry): boolean {
  return entry.platform?.os !== "unknown";
}

function ociImage(members: ArchiveMembers, entry: IndexEntry, host: Platform): ArchivedImage {
  const descriptor = isIndex(entry.mediaType) ? chosenFrom(members, entry, host) : entry;
  const bytes = verifiedDocument(members, descriptor.digest);
  const manifest = parseManifest(bytes, descriptor.mediaType, `manifest ${descriptor.digest}`);
  if (manifest.kind !== "manifest")
    throw new TscomposeError("image/invalid", `manifest ${descriptor.digest} is an index`);
  assertImageLayers(manifest, `manifest ${descriptor.digest}`);
  const configBytes = verifiedDocument(members, manifest.config.digest);
  const config = parseConfig(configBytes, `configuration ${manifest.config.digest}`);
  assertSameCount(config, manifest.layers.length);
  const { mediaType, digest, size } = descriptor;
  return {
    configBytes,
    config,
    tags: entryTags(entry),
    layerMembers: manifest.layers.map((layer) => blobMember(layer.digest)),
    manifest: { bytes, descriptor: { mediaType, digest, size }, layers: manifest.layers },
  };
}

/** Of a multi-platform image the one for this machine; an archive made elsewhere may hold only some of them. */
function chosenFrom(members: ArchiveMembers, entry: IndexEntry, host: Platform): Descriptor {
  const bytes = verifiedDocument(members, entry.digest);
  const index = parseManifest(bytes, entry.mediaType, `index ${entry.digest}`);
  if (index.kind !== "index") throw new TscomposeError("image/invalid", `index ${entry.digest} is a manifest`);
  const present = index.entries.filter(
    (item) => isImageEntry(item) && !isIndex(item.mediaType) && members.has(blobMember(item.digest)),
  );
  const chosen = choosePlatform(present, host) ?? (present.length === 1 ? present[0] : undefined);
  if (chosen !== undefined) return chosen;
  throw new TscomposeError(
    "image/invalid",
    `index ${entry.digest} has no image for ${host.os}/${host.architecture} in the archive`,
  );
}

function entryTags({ annotations }: IndexEntry): readonly string[] {
  const full = annotations["io.containerd.image.name"];
  const name = full ?? annotations["org.opencontainers.image.ref.name"];
  // A bare tag is a valid name too, but says nothing about the repository.
  if (name === undefined || (full === undefined && !/[/:]/.test(name))) return [];
  const reference = tryParseReference(name);
  return reference === undefined ? [] : [canonicalName(withDefaultTag({ ...reference, digest: undefined }))];
}

function assertSameCount(config: OciImageConfig, layers: number): void {
  if (config.rootfs.diff_ids.length === layers) return;
  throw new TscomposeError(
    "image/invalid",
    `the configuration names ${config.rootfs.diff_ids.length} layers but the manifest ${layers}`,
  );
}
