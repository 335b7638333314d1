/** `prune`: deletes what the filters name and nobody uses. */
import type { Filters, ImageDeleteItem } from "../types.ts";
import type { Catalog } from "./catalog.ts";
import { filterPrunable } from "./filters.ts";
import { removeImage } from "./remove.ts";

export interface PruneResult {
  readonly ImagesDeleted: readonly ImageDeleteItem[];
  readonly SpaceReclaimed: number;
}

/** @throws request/invalid for an unknown filter, before anything is deleted */
export function pruneImages(catalog: Catalog, filters: Filters): PruneResult {
  const named = catalog.all().filter((image) => !catalog.isFurtherPlatform(image));
  const doomed = filterPrunable(named, { filters, now: Date.now() / 1000 });
  const unused = doomed.filter((image) => catalog.users(image.id).length === 0);
  const before = catalog.layerBytes();
  // By id with force: an image with several names goes as a whole.
  const ImagesDeleted = unused.flatMap((image) => removeImage(catalog, image.id, { force: true }));
  const SpaceReclaimed = before - catalog.layerBytes();
  catalog.publishPrune(SpaceReclaimed);
  return { ImagesDeleted, SpaceReclaimed };
}
