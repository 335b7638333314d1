import { observeContainers } from "../planner/observe.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import type { ProcessSession } from "./exec.ts";
import { checkServices, oneContainer } from "./select.ts";

export interface AttachTarget {
  readonly service: string;
  /** 0: the first. */
  readonly index: number;
  readonly stdin: boolean;
  readonly detachKeys: string | undefined;
}

export interface AttachedProcess extends ProcessSession {
  kill(signal: string): Promise<void>;
}

/** Connects to the stdio of the main process of a running container. */
export async function attach(
  context: ComposeContext,
  reference: ProjectReference,
  target: AttachTarget,
): Promise<AttachedProcess> {
  const { docker, signal } = context;
  const containers = await observeContainers(docker, reference.name, signal);
  checkServices(reference, containers, reference.project === undefined ? [] : [target.service]);
  const { id } = oneContainer(containers, target.service, { index: target.index, running: true });
  const container = docker.getContainer(id);
  const { Config: config } = await container.inspect({ abortSignal: signal });
  const stream = await container.attach({
    stream: true,
    stdin: target.stdin && config.OpenStdin === true,
    stdout: true,
    stderr: true,
    ...(target.detachKeys === undefined ? {} : { detachKeys: target.detachKeys }),
  });
  return {
    stream,
    tty: config.Tty === true,
    resize: (h, w) => container.resize({ h, w }),
    kill: (name) => container.kill({ signal: name }),
    exitCode: async () => {
      const { State: state } = await container.inspect();
      // Detached, not ended.
      return state.Running ? 0 : state.ExitCode;
    },
  };
}
