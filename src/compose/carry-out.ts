/** Carries out a plan that stops or takes away what is there: it needs no images and no model, and one failure does not
 *  stop the rest. */
import { executePlan } from "../planner/execute.ts";
import type { Plan } from "../planner/plan.ts";
import { createPerformer } from "../planner/perform.ts";
import { createContainerWatch } from "../planner/wait.ts";

import { Notes } from "./notes.ts";
import type { ComposeContext, ProjectReference } from "./context.ts";

export async function carryOut(context: ComposeContext, { name }: ProjectReference, plan: Plan): Promise<void> {
  const watch = createContainerWatch(context.docker, name);
  const notes = new Notes();
  const done = executePlan(plan, {
    perform: createPerformer({
      docker: context.docker,
      project: undefined,
      images: new Map(),
      profiles: new Map(),
      watch,
      onNote: notes.add,
    }),
    signal: context.signal,
    concurrency: context.concurrency,
    onFailure: "continue",
    onProgress: context.onProgress,
  });
  await done.finally(() => notes.tell(context.onWarning));
}
