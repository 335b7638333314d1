import type { Duplex } from "node:stream";

import { TscomposeError } from "../errors.ts";
import { observeContainers } from "../planner/observe.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices, oneContainer } from "./select.ts";

export interface ExecOptions {
  readonly service: string;
  readonly command: readonly string[];
  /** 0: the first. */
  readonly index: number;
  readonly environment: readonly string[];
  readonly user: string | undefined;
  readonly workdir: string | undefined;
  readonly privileged: boolean;
  readonly tty: boolean;
  readonly interactive: boolean;
  readonly detach: boolean;
  /** Rows, columns. */
  readonly size: readonly [number, number] | undefined;
}

/** A process whose stdio is here. */
export interface ProcessSession {
  /** Raw with a tty, else frames; `end()` is end of file for the process. */
  readonly stream: Duplex;
  readonly tty: boolean;
  resize(rows: number, columns: number): Promise<void>;
  /** Once the stream has ended. */
  exitCode(): Promise<number>;
}

/** Starts a command in a running container of a service. Undefined with `detach`. */
export async function exec(
  context: ComposeContext,
  reference: ProjectReference,
  options: ExecOptions,
): Promise<ProcessSession | undefined> {
  const { docker, signal } = context;
  const containers = await observeContainers(docker, reference.name, signal, options.service);
  checkServices(reference, containers, reference.project === undefined ? [] : [options.service]);
  const container = oneContainer(containers, options.service, { index: options.index, running: true });
  const attach = !options.detach;
  const created = await docker.getContainer(container.id).exec({
    AttachStdin: attach && options.interactive,
    AttachStdout: attach,
    AttachStderr: attach,
    Tty: options.tty,
    Env: options.environment,
    Cmd: options.command,
    Privileged: options.privileged,
    ...(options.user === undefined ? {} : { User: options.user }),
    ...(options.workdir === undefined ? {} : { WorkingDir: options.workdir }),
    ...(options.size === undefined ? {} : { ConsoleSize: options.size }),
  });
  const stream = await created.start({
    Detach: options.detach,
    Tty: options.tty,
    ...(options.size === undefined ? {} : { ConsoleSize: options.size }),
  });
  if (options.detach) return undefined;
  void docker.modem.prepare(); // for the exit code, while the command runs
  return {
    stream,
    tty: options.tty,
    resize: (h, w) => created.resize({ h, w }),
    exitCode: async () => {
      const { ExitCode: code } = await created.inspect();
      if (code === null)
        throw new TscomposeError(
          "engine/failed",
          `the engine does not know how the command in ${container.name} ended`,
        );
      return code;
    },
  };
}
