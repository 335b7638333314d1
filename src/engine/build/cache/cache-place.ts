/** Where exported caches are: a repository of a registry, or a folder in the OCI layout. Types only. */
import type { Descriptor } from "../../images/manifest.ts";
import type { FetchedManifest } from "../../images/registry/fetch.ts";

export interface CachePlace {
  /** For messages: `registry.example.com/app:cache`. */
  readonly name: string;
  /** What the place's name stands for.
   *  @throws image/not-found and what the place's own failures are */
  manifest(): Promise<FetchedManifest>;
  /** By digest: an entry of an index. */
  manifestOf(descriptor: Descriptor): Promise<FetchedManifest>;
  /** A small blob, verified. */
  document(descriptor: Descriptor): Promise<Buffer>;
  /** A blob, not verified. */
  open(descriptor: Descriptor): AsyncIterable<Buffer>;
  putBlob(descriptor: Descriptor, open: (offset: number) => AsyncIterable<Buffer>): Promise<void>;
  /** Under the place's name; its blobs are there. */
  putManifest(manifest: { readonly bytes: Buffer; readonly descriptor: Descriptor }): Promise<void>;
  close(): void;
}
