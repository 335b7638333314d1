/** What `POST /build?version=2` answers with: each line holds a `StatusResponse` of BuildKit's API in base64, the last one the image.
 *  Source: engine-api reference, 5.2. */
import { randomUUID } from "node:crypto";
import { TscomposeError } from "../../errors.ts";
import type { BuildRequest, BuildService } from "../../engine/build/types.ts";
import type { ProgressMessage } from "../wire.ts";
import { BuildProgress } from "./build-progress.ts";
import { StatusFeed } from "./status-feed.ts";

type Outcome = { readonly imageId: string } | { readonly error: unknown };

/** Runs the build while its lines are read. A reader that leaves ends it. @throws what the build throws, after its lines */
export async function* traceMessages(
  builds: BuildService,
  request: BuildRequest,
  archive: AsyncIterable<Buffer>,
): AsyncGenerator<ProgressMessage, void, void> {
  const feed = new StatusFeed(randomUUID());
  const progress = new BuildProgress(feed);
  const gone = new AbortController();
  const signal = AbortSignal.any([request.signal, gone.signal]);
  const work = builds
    .run({ ...request, signal }, archive, (event) => progress.take(event))
    .then(
      (imageId): Outcome => ({ imageId }),
      (error: unknown): Outcome => {
        progress.fail("the step failed");
        return { error };
      },
    )
    .finally(() => feed.end());
  try {
    for await (const status of feed.follow(signal))
      if (!request.quiet) yield { id: "moby.buildkit.trace", aux: status.toString("base64") };
    const outcome = await work;
    if ("error" in outcome) throw outcome.error;
    if (outcome.imageId === "") return;
    if (request.quiet) yield { stream: `${outcome.imageId}\n` };
    else yield { id: "moby.image.id", aux: { ID: outcome.imageId } };
  } finally {
    gone.abort(new TscomposeError("aborted", "the client has gone"));
    await work;
  }
}
