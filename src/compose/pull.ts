import { errorMessage, TscomposeError } from "../errors.ts";
import { imageName } from "../planner/names.ts";
import { observeImages } from "../planner/observe.ts";
import type { Project, Service } from "../spec/model.ts";

import type { ComposeContext } from "./context.ts";
import { pullImage } from "./pull-image.ts";

export interface PullOptions {
  readonly policy: "service" | "missing" | "always";
  readonly ignoreFailures: boolean;
  readonly ignoreBuildable: boolean;
  readonly layerProgress: boolean;
}

/** Pulls the images of the services of `project`, each once, all at the same time.
 *  @throws the failures, unless they are to be ignored. */
export async function pull(context: ComposeContext, project: Project, options: PullOptions): Promise<void> {
  const wanted = new Map<string, { readonly spec: Service; readonly platform: string | undefined }>();
  for (const [name, spec] of Object.entries(project.services)) {
    const skip = skipReason(spec, options);
    if (skip !== undefined) {
      context.onProgress({ kind: "Service", name, status: "done", text: "Skipped", details: skip });
      continue;
    }
    wanted.set(imageName(project, name, spec), { spec, platform: spec.platform });
  }
  const present = await observeImages(context.docker, [...wanted.keys()], context.signal);
  const todo = [...wanted].filter(
    ([reference, { spec }]) => !present.has(reference) || mustRefresh(reference, spec, options),
  );
  const results = await Promise.allSettled(
    todo.map(([reference, { platform }]) =>
      pullImage(context, { reference, platform, verbose: options.layerProgress }),
    ),
  );
  const failures = results.flatMap((result, index) =>
    result.status === "rejected" ? [{ error: result.reason as unknown, spec: todo[index]?.[1].spec }] : [],
  );
  if (failures.length === 0) return;
  if (options.ignoreFailures) {
    for (const { error } of failures) context.onWarning(errorMessage(error));
    return;
  }
  if (failures.every(({ spec }) => spec?.build !== undefined)) {
    context.onWarning("some service images must be built from source");
  }
  const messages = [...new Set(failures.map(({ error }) => errorMessage(error)))];
  if (messages.length === 1) throw failures[0]?.error;
  throw new TscomposeError("registry/failed", messages.join("\n"), {
    cause: failures[0]?.error,
    details: { messages },
  });
}

function skipReason(spec: Service, { ignoreBuildable }: PullOptions): string | undefined {
  if (spec.image === undefined) return "No image to be pulled";
  if (spec.pull_policy === "never" || spec.pull_policy === "build") return `pull_policy is ${spec.pull_policy}`;
  return ignoreBuildable && spec.build !== undefined ? "Image can be built" : undefined;
}

/** An image that is here already. */
function mustRefresh(reference: string, spec: Service, { policy }: PullOptions): boolean {
  const effective = policy === "service" ? (spec.pull_policy ?? "always") : policy;
  if (effective !== "missing" && effective !== "if_not_present") return true;
  return reference.endsWith(":latest") || !/[:@][^/]*$/.test(reference);
}
