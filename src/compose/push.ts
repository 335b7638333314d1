import { errorMessage } from "../errors.ts";
import type { Project } from "../spec/model.ts";

import type { ComposeContext } from "./context.ts";
import { registryOf } from "./pull-image.ts";

/** Pushes the images of services that have both a build and a name, and the further tags of the build.
 *  @throws the first failure, unless they are to be ignored. */
export async function push(
  context: ComposeContext,
  project: Project,
  { ignoreFailures }: { readonly ignoreFailures: boolean },
): Promise<void> {
  const references = new Set<string>();
  for (const [name, spec] of Object.entries(project.services)) {
    if (spec.build === undefined || spec.image === undefined) {
      context.onProgress({ kind: "Service", name, status: "done", text: "Skipped" });
      continue;
    }
    references.add(spec.image);
    for (const tag of spec.build.tags ?? []) references.add(tag);
  }
  const results = await Promise.allSettled([...references].map((reference) => pushImage(context, reference)));
  for (const result of results) {
    if (result.status === "fulfilled") continue;
    if (!ignoreFailures) throw result.reason;
    context.onWarning(errorMessage(result.reason));
  }
}

async function pushImage(context: ComposeContext, reference: string): Promise<void> {
  const { docker, signal, onProgress } = context;
  onProgress({ kind: "Image", name: reference, status: "working", text: "Pushing" });
  const colon = reference.lastIndexOf(":");
  const tagged = colon > reference.lastIndexOf("/");
  const credentials = await context.credentials(registryOf(reference));
  try {
    const stream = await docker.getImage(tagged ? reference.slice(0, colon) : reference).push({
      tag: tagged ? reference.slice(colon + 1) : "latest",
      abortSignal: signal,
      ...(credentials === undefined ? {} : { authconfig: credentials }),
    });
    for await (const { id, status } of docker.modem.progress(stream, signal)) {
      if (id === undefined || status === undefined) continue;
      onProgress({ kind: "Image", name: id, parent: reference, status: "working", text: status });
    }
  } catch (error) {
    onProgress({ kind: "Image", name: reference, status: "error", text: "Error", details: errorMessage(error) });
    throw error;
  }
  onProgress({ kind: "Image", name: reference, status: "done", text: "Pushed" });
}
