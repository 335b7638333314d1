import { TscomposeError } from "../errors.ts";
import { observeContainers } from "../planner/observe.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { createChannel } from "./channel.ts";
import { checkServices } from "./select.ts";

export interface Ended {
  readonly id: string;
  readonly name: string;
  readonly exitCode: number;
}

/** The running containers of the services as they end. @throws request/not-found where none runs. */
export async function* waitForEnd(
  context: ComposeContext,
  reference: ProjectReference,
  services: readonly string[],
): AsyncGenerator<Ended, void, void> {
  const { docker, signal } = context;
  const all = await observeContainers(docker, reference.name, signal);
  checkServices(reference, all, services);
  const running = all.filter(({ service, state }) => services.includes(service) && state === "running");
  if (running.length === 0)
    throw new TscomposeError("request/not-found", `no containers for project "${reference.name}"`);
  const channel = createChannel<Ended>();
  const waits = running.map(async ({ id, name }) => {
    const { StatusCode: exitCode } = await docker.getContainer(id).wait({ abortSignal: signal });
    channel.push({ id, name, exitCode });
  });
  Promise.all(waits).then(
    () => channel.close(),
    (error: unknown) => channel.close(error),
  );
  yield* channel;
}
