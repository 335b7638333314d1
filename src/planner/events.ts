/** What the user sees of work in progress. Words and casing are Docker Compose's. */
export type ResourceKind = "Container" | "Network" | "Volume" | "Image" | "Service";

export interface ProgressEvent {
  readonly kind: ResourceKind;
  /** Unique together with `kind`. */
  readonly name: string;
  /** `pending`: announced, not begun. */
  readonly status: "pending" | "working" | "done" | "warning" | "error";
  /** `Creating`, `Created`, ...; of a pulled layer the engine's own words. */
  readonly text: string;
  readonly details?: string;
  /** The resource this is a part of: a layer of an image. */
  readonly parent?: string;
  /** Bytes. */
  readonly current?: number;
  readonly total?: number;
}

export type OnProgress = (event: ProgressEvent) => void;
