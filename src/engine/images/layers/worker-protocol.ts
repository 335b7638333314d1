/** What the engine and a layer thread say to each other. Types only. */
import type { ErrorCode, ErrorDetails } from "../../../errors.ts";
import type { LayerJob, LayerResult } from "./layer-job.ts";

export type ToWorker =
  | { readonly type: "start"; readonly job: LayerJob }
  /** Packed bytes; the buffer is handed over. */
  | { readonly type: "chunk"; readonly data: Uint8Array }
  | { readonly type: "end" }
  /** The bytes will not come: give up. */
  | { readonly type: "abort" };

export type FromWorker =
  /** So many pushed bytes are dealt with. */
  | { readonly type: "taken"; readonly bytes: number }
  | { readonly type: "done"; readonly result: LayerResult }
  | { readonly type: "failed"; readonly error: PlainError };

export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string | undefined;
  readonly details: ErrorDetails;
}
