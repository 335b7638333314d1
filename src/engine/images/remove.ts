/** Untagging and deleting, by Docker's rules and in its words. Source: Docker Engine, daemon/images/image_delete.go; where a
 *  stopped container still uses a force-removed image its layers stay, as an image without a name. */
import { TscomposeError } from "../../errors.ts";
import type { ImageDeleteItem } from "../types.ts";
import { namesInRepository, type Catalog } from "./catalog.ts";
import { hexOf } from "./digest.ts";
import type { Image } from "./image-records.ts";
import { canonicalName, familiarName, parseReference, tryParseReference, withDefaultTag } from "./reference.ts";

/** @throws image/not-found, image/in-use */
export function removeImage(
  catalog: Catalog,
  ref: string,
  options: { readonly force: boolean },
): readonly ImageDeleteItem[] {
  const image = catalog.resolve(ref);
  return catalog.isIdOf(image, ref)
    ? removeById(catalog, image, options)
    : removeByName(catalog, image, { ...options, ref });
}

function removeByName(
  catalog: Catalog,
  image: Image,
  options: { readonly force: boolean; readonly ref: string },
): readonly ImageDeleteItem[] {
  const reference = withDefaultTag(parseReference(options.ref));
  const name = canonicalName(reference.digest === undefined ? reference : { ...reference, tag: undefined });
  const single = isSingleReference(image);
  const user = catalog.users(image.id)[0];
  if (single && user !== undefined && !options.force) {
    throw inUse(
      `conflict: unable to remove repository reference "${options.ref}" (must force) - container ${short(user.containerId)} is using its referenced image ${short(image.id)}`,
    );
  }
  if (single) assertNotRunning(catalog, image);
  // With its last tag in a repository go the digests there: nobody asked for those by name.
  const tagsLeft = image.tags.filter((tag) => tag !== name);
  const orphans = namesInRepository(tagsLeft, name).length === 0 ? namesInRepository(image.digests, name) : [];
  const names = [...new Set([name, ...orphans])];
  const others = orphans.length === 0 ? [] : catalog.platformsOf(image).filter((one) => catalog.isFurtherPlatform(one));
  const gone = [image, ...others].flatMap((one) => catalog.removeNames(one, names));
  return [...names.map(untagged), ...gone.map(deleted)];
}

function removeById(catalog: Catalog, image: Image, options: { readonly force: boolean }): readonly ImageDeleteItem[] {
  if (!isSingleReference(image) && !options.force) {
    throw inUse(
      `conflict: unable to delete ${short(image.id)} (must be forced) - image is referenced in multiple repositories`,
    );
  }
  assertNotRunning(catalog, image);
  const user = catalog.users(image.id)[0];
  if (user !== undefined && !options.force) {
    throw inUse(
      `conflict: unable to delete ${short(image.id)} (must be forced) - image is being used by stopped container ${short(user.containerId)}`,
    );
  }
  const names = [...image.tags, ...image.digests];
  return [...names.map(untagged), ...catalog.removeNames(image, names).map(deleted)];
}

function deleted(Deleted: string): ImageDeleteItem {
  return { Deleted };
}

function assertNotRunning(catalog: Catalog, image: Image): void {
  const running = catalog.users(image.id).find((user) => user.running());
  if (running === undefined) return;
  throw inUse(
    `conflict: unable to delete ${short(image.id)} (cannot be forced) - image is being used by running container ${short(running.containerId)}`,
  );
}

/** At most one tag, and digests of the same repository. */
function isSingleReference(image: Image): boolean {
  const [first] = [...image.tags, ...image.digests];
  if (first === undefined) return true;
  return image.tags.length <= 1 && namesInRepository(image.digests, first).length === image.digests.length;
}

function untagged(name: string): ImageDeleteItem {
  const reference = tryParseReference(name);
  return { Untagged: reference === undefined ? name : familiarName(reference) };
}

/** 12 characters, as Docker shows ids. */
export function short(id: string): string {
  return hexOf(id).slice(0, 12);
}

function inUse(message: string): TscomposeError {
  return new TscomposeError("image/in-use", message, { hint: "remove the container first" });
}
