import { isTscomposeError } from "../errors.ts";
import { observeContainers } from "../planner/observe.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices, serviceContainers } from "./select.ts";

export interface TopRow {
  readonly service: string;
  readonly number: number;
  /** Title of `ps` -> value. */
  readonly values: Readonly<Record<string, string>>;
}

export interface TopTable {
  /** In the order they first come up, `CMD` last. */
  readonly titles: readonly string[];
  readonly rows: readonly TopRow[];
}

/** The processes of the running containers, by container name. */
export async function top(
  context: ComposeContext,
  reference: ProjectReference,
  services: readonly string[],
): Promise<TopTable> {
  const { docker, signal } = context;
  const all = await observeContainers(docker, reference.name, signal);
  checkServices(reference, all, services);
  const running = serviceContainers(all, services).filter(({ state }) => state === "running");
  const answers = await Promise.all(
    running.map(async ({ id, service, number }) => {
      try {
        return { service, number, ...(await docker.getContainer(id).top({ abortSignal: signal })) };
      } catch (error) {
        // It ended in between.
        if (isTscomposeError(error, "container/not-found") || isTscomposeError(error, "container/wrong-status"))
          return undefined;
        throw error;
      }
    }),
  );
  const found = answers.filter((answer) => answer !== undefined);
  const titles = new Set(found.flatMap(({ Titles }) => Titles));
  const last = titles.delete("CMD") ? ["CMD"] : [];
  return {
    titles: [...titles, ...last],
    rows: found.flatMap(({ service, number, Titles, Processes }) =>
      Processes.map((cells) => ({
        service,
        number,
        values: Object.fromEntries(Titles.map((title, column) => [title, cells[column] ?? ""])),
      })),
    ),
  };
}
