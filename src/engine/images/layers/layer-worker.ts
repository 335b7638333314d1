/** Entry of a layer thread: one layer job after the other, so that two layers unpack on two cores and the engine's own thread
 *  stays free for its clients. */
import { parentPort } from "node:worker_threads";
import { errorMessage, isTscomposeError, TscomposeError } from "../../../errors.ts";
import { explainDiskError } from "../disk-errors.ts";
import { runLayerJob, type LayerJob } from "./layer-job.ts";
import type { FromWorker, PlainError, ToWorker } from "./worker-protocol.ts";

const port = parentPort;
if (port === null) throw new Error("the layer worker is not a program of its own");

let chunks: Uint8Array[] = [];
let ended = false;
let aborted = false;
let wake: (() => void) | undefined;

const say = (message: FromWorker): void => port.postMessage(message);

async function* pushedBytes(): AsyncGenerator<Buffer> {
  for (;;) {
    const ready = chunks;
    chunks = [];
    for (const data of ready) {
      yield Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      say({ type: "taken", bytes: data.byteLength });
    }
    if (aborted) throw new TscomposeError("aborted", "the operation was aborted");
    if (chunks.length > 0) continue;
    if (ended) return;
    await new Promise<void>((resolve) => (wake = resolve));
  }
}

async function run(job: LayerJob): Promise<void> {
  chunks = [];
  ended = false;
  aborted = false;
  try {
    say({ type: "done", result: await runLayerJob(job, job.source.kind === "pushed" ? pushedBytes() : undefined) });
  } catch (error) {
    say({ type: "failed", error: toPlain(error) });
  }
}

function toPlain(thrown: unknown): PlainError {
  const error = explainDiskError(thrown);
  if (!isTscomposeError(error))
    return { code: "engine/failed", message: errorMessage(error), hint: undefined, details: {} };
  const details = Object.fromEntries(Object.entries(error.details).filter(([, value]) => typeof value !== "object"));
  return { code: error.code, message: error.message, hint: error.hint, details };
}

port.on("message", (message: ToWorker) => {
  switch (message.type) {
    case "start":
      void run(message.job);
      return;
    case "chunk":
      chunks.push(message.data);
      break;
    case "end":
      ended = true;
      break;
    case "abort":
      aborted = true;
      break;
  }
  wake?.();
});
