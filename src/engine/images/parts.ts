/** What the operations on images share. Types only. */
import type { BlobStore } from "./blobs.ts";
import type { Catalog } from "./catalog.ts";
import type { ChainRecords } from "./chains.ts";
import type { LayerIngest } from "./layers/layer-ingest.ts";
import type { LayerStore } from "./layers/layer-store.ts";
import type { LayerRunner } from "./layers/runner.ts";
import type { OciIndex } from "./oci-index.ts";
import type { Platform } from "./platform.ts";
import type { StagingArea } from "./staging.ts";

export interface ImageParts {
  readonly staging: StagingArea;
  readonly blobs: BlobStore;
  readonly layers: LayerStore;
  readonly ingest: LayerIngest;
  readonly chains: ChainRecords;
  readonly runner: LayerRunner;
  readonly catalog: Catalog;
  readonly index: OciIndex;
  /** What this machine runs. */
  readonly host: Platform;
}
