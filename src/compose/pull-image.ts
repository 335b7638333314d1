import type { ProgressMessage } from "../api/wire.ts";
import { errorMessage, isTscomposeError, TscomposeError } from "../errors.ts";
import type { ProgressEvent } from "../planner/events.ts";

import type { ComposeContext } from "./context.ts";

export interface PullRequest {
  readonly reference: string;
  readonly platform: string | undefined;
  /** Tells of layers too. */
  readonly verbose: boolean;
}

/** Pulls one image, telling of it as it goes. @throws the registry's refusal. */
export async function pullImage(context: ComposeContext, { reference, platform, verbose }: PullRequest): Promise<void> {
  const tell = (status: ProgressEvent["status"], text: string, details?: string): void =>
    context.onProgress({ kind: "Image", name: reference, status, text, ...(details === undefined ? {} : { details }) });
  tell("working", "Pulling");
  const credentials = await context.credentials(registryOf(reference));
  try {
    const options = {
      abortSignal: context.signal,
      ...(platform === undefined ? {} : { platform }),
      ...(credentials === undefined ? {} : { authconfig: credentials }),
    };
    for await (const message of context.docker.pullProgress(reference, options)) {
      const event = verbose ? layerEvent(reference, message) : undefined;
      if (event !== undefined) context.onProgress(event);
    }
  } catch (error) {
    if (context.signal.aborted) throw new TscomposeError("aborted", `pull of ${reference} aborted`, { cause: error });
    tell("error", "Error", errorMessage(error));
    throw new TscomposeError(
      isTscomposeError(error) ? error.code : "registry/failed",
      `cannot pull image ${reference}: ${errorMessage(error)}`,
      { hint: hintOf(error) ?? "check the name, or load the image from a file: tscompose load -i FILE", cause: error },
    );
  }
  tell("done", "Pulled");
}

function hintOf(error: unknown): string | undefined {
  return isTscomposeError(error) ? error.hint : undefined;
}

function layerEvent(reference: string, { id, status, progressDetail }: ProgressMessage): ProgressEvent | undefined {
  if (id === undefined || status === undefined || status.startsWith("Pulling from")) return undefined;
  const done = status === "Pull complete" || status === "Already exists";
  return {
    kind: "Image",
    name: id,
    parent: reference,
    status: done ? "done" : "working",
    text: status,
    ...(progressDetail?.current === undefined ? {} : { current: progressDetail.current }),
    ...(progressDetail?.total === undefined ? {} : { total: progressDetail.total }),
  };
}

/** The host a reference names; Docker Hub where it names none. Source: distribution/reference, splitDockerDomain. */
export function registryOf(reference: string): string {
  const slash = reference.indexOf("/");
  const first = slash < 0 ? "" : reference.slice(0, slash);
  return first === "localhost" || /[.:]/.test(first) ? first : "docker.io";
}
