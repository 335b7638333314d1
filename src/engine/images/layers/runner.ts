/** Where layer jobs run. */
import { runLayerJob, type LayerJob, type LayerResult } from "./layer-job.ts";

export interface LayerRunner {
  /** @param pushed the packed bytes, for a job whose source is pushed */
  run(job: LayerJob, pushed?: AsyncIterable<Buffer>): Promise<LayerResult>;
  close(): Promise<void>;
}

/** On the calling thread. */
export const inlineRunner: LayerRunner = {
  run: runLayerJob,
  close: () => Promise.resolve(),
};
