/** A build cache in a registry. */
import { canonicalName, familiarName, type Reference } from "../../images/reference.ts";
import { downloadBlob, fetchDocument, fetchManifest, type Repository } from "../../images/registry/fetch.ts";
import { putManifest, uploadBlob } from "../../images/registry/upload.ts";
import type { CachePlace } from "./cache-place.ts";

export function registryPlace(repository: Repository, reference: Reference): CachePlace {
  const name = reference.digest ?? reference.tag ?? "latest";
  return {
    name: reference.digest === undefined ? familiarName(reference) : canonicalName(reference),
    manifest: () => fetchManifest(repository, name),
    manifestOf: ({ digest }) => fetchManifest(repository, digest),
    document: (descriptor) => fetchDocument(repository, descriptor),
    open: (descriptor) => downloadBlob(repository, descriptor),
    putBlob: async (descriptor, open) => {
      await uploadBlob(repository, { descriptor, open, mountFrom: [] }, () => undefined);
    },
    putManifest: (manifest) => putManifest(repository, name, manifest),
    close: () => undefined,
  };
}
