/** Images that were made here for several platforms, under one name: they belong together as if they had come from one index. */
import { TscomposeError } from "../../errors.ts";
import { platformOf, runsAs } from "./image-platform.ts";
import type { ImageParts } from "./parts.ts";
import { indexFor } from "./portable.ts";
import { canonicalName, parseReference, withDefaultTag } from "./reference.ts";

/** The tags go to the image for this machine, or else to the first; the others are found by their platform.
 *  @returns its id. @throws image/not-found, request/invalid for what is no name */
export function joinPlatforms(parts: ImageParts, ids: readonly string[], tags: readonly string[]): string {
  const { catalog, host } = parts;
  const images = [...new Set(ids)].map((id) => catalog.resolve(id));
  const named = images.find(({ config }) => runsAs(config, host)) ?? images[0];
  if (named === undefined) throw new TscomposeError("image/not-found", "no images to give a name to");
  const { digest } = indexFor(
    images.map(({ manifest, config }) => ({ descriptor: manifest, platform: platformOf(config) })),
  ).descriptor;
  const references = tags.map((tag) => withDefaultTag(parseReference(tag)));
  const digests = [...new Set(references.map((reference) => canonicalName({ ...reference, tag: undefined, digest })))];
  for (const { id, manifest } of images)
    catalog.add({ id, manifest, tags: id === named.id ? references.map(canonicalName) : [], digests });
  return named.id;
}

/** See `ImageStore.rememberImages`. */
export function rememberImages(catalog: ImageParts["catalog"]): (ids: readonly string[]) => void {
  const before = new Set(catalog.all().map(({ id }) => id));
  return (ids) => {
    for (const id of ids) {
      const image = before.has(id) ? undefined : catalog.find(id);
      if (image !== undefined) catalog.removeNames(image, []);
    }
  };
}
