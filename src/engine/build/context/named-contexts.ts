/** The contexts of a build by name: what each means to the plan, and its files once it is known what of them is read. */
import type { ContextFiles } from "../files/receive-context.ts";
import { contextPaths } from "../plan/context-paths.ts";
import type { NamedContext } from "../plan/options.ts";
import type { BuildPlan } from "../plan/plan-build.ts";
import type { BuildRequest } from "../types.ts";
import { openNamed } from "./open-context.ts";
import type { ContextTools, OpenedContext } from "./open-context.ts";

interface NamedContexts {
  readonly meanings: Readonly<Record<string, NamedContext>>;
  /** By what the plan calls them. */
  readonly files: ReadonlyMap<string, OpenedContext["files"]>;
}

/** The files of the contexts, as far as the build reads them. */
export async function neededFiles(
  named: NamedContexts["files"],
  plan: BuildPlan,
): Promise<ReadonlyMap<string, ContextFiles>> {
  const opened = [...named].map(async ([name, open]) => [name, await open(contextPaths(plan, name))] as const);
  return new Map(await Promise.all(opened));
}

export async function openContexts(
  tools: ContextTools,
  request: BuildRequest,
  main: OpenedContext["files"],
): Promise<NamedContexts> {
  const opened = await Promise.all(
    Object.entries(request.namedContexts).map(
      async ([name, source]): Promise<[string, NamedContext, OpenedContext["files"]?]> =>
        source.kind === "image"
          ? [name, { kind: "image", reference: source.reference }]
          : [name, { kind: "local", name: `named:${name}` }, await openNamed(tools, name, source)],
    ),
  );
  const files = opened.flatMap(([name, , found]) => (found === undefined ? [] : [[`named:${name}`, found] as const]));
  return {
    meanings: Object.fromEntries(opened.map(([name, meaning]) => [name, meaning])),
    files: new Map([["context", main], ...files]),
  };
}
