/** Carries out a plan that stops or takes away what is there: it needs no images and no model, and one failure does not
 *  stop the rest. */
import { executePlan } from "../planner/execute.ts";
import type { Plan } from "../planner/plan.ts";
import { createPerformer } from "../planner/perform.ts";
import { createContainerWatch } from "../planner/wait.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";

export async function carryOut(context: ComposeContext, { name }: ProjectReference, plan: Plan): Promise<void> {
  const watch = createContainerWatch(context.docker, name);
  await executePlan(plan, {
    perform: createPerformer({
      docker: context.docker,
      project: undefined,
      images: new Map(),
      profiles: new Map(),
      watch,
    }),
    signal: context.signal,
    concurrency: context.concurrency,
    onFailure: "continue",
    onProgress: context.onProgress,
  });
}
