import { PassThrough } from "node:stream";

import type { Docker } from "../client/docker.ts";
import { TscomposeError } from "../errors.ts";
import type { Hook } from "../spec/model.ts";

export type HookPhase = "post_start" | "pre_stop";

/** Of what a failed hook printed, so much is shown. */
const tailBytes = 2048;

/** Runs a service's hook in its container, to its end. Source: Compose Specification, lifecycle hooks; the words of a failure are
 *  Docker Compose's. @throws compose/failed with the exit code and the tail of what the hook printed; aborted */
export async function runHook(
  docker: Docker,
  {
    id,
    service,
    hook,
    signal,
  }: { readonly id: string; readonly service: string; readonly hook: Hook; readonly signal: AbortSignal },
): Promise<void> {
  const environment = Object.entries(hook.environment ?? {});
  const exec = await docker.getContainer(id).exec({
    AttachStdin: false,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
    Cmd: hook.command ?? [],
    Env: environment.map(([name, value]) => (value === null ? name : `${name}=${value}`)),
    Privileged: hook.privileged ?? false,
    ...(hook.user === undefined ? {} : { User: hook.user }),
    ...(hook.working_dir === undefined ? {} : { WorkingDir: hook.working_dir }),
  });
  const stream = await exec.start({ Detach: false, Tty: false });
  const [out, err] = [new Tail(), new Tail()];
  docker.modem.demuxStream(stream, out.sink, err.sink);
  await new Promise<void>((done, failed) => {
    const abort = (): void => {
      stream.destroy();
      failed(new TscomposeError("aborted", `the hook of ${service} was left running`));
    };
    signal.addEventListener("abort", abort, { once: true });
    stream.once("error", failed);
    stream.once("close", () => {
      signal.removeEventListener("abort", abort);
      done();
    });
    stream.once("end", () => stream.end());
  });
  const { ExitCode: code } = await exec.inspect();
  if (code === 0) return;
  const tail = err.text || out.text;
  throw new TscomposeError(
    "compose/failed",
    `${service} hook exited with status ${String(code)}${tail === "" ? "" : `: ${tail}`}`,
  );
}

/** One after the other. @throws as `runHook`, of the first that fails */
export async function runHooks(
  docker: Docker,
  {
    hooks = [],
    ...target
  }: {
    readonly id: string;
    readonly service: string;
    readonly hooks: readonly Hook[] | undefined;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  for (const hook of hooks) await runHook(docker, { ...target, hook });
}

/** Keeps the end of what is written to it. */
class Tail {
  readonly sink = new PassThrough();
  #kept = Buffer.alloc(0);

  constructor() {
    this.sink.on("data", (chunk: Buffer) => {
      this.#kept = Buffer.concat([this.#kept, chunk]).subarray(-tailBytes);
    });
  }
  get text(): string {
    return this.#kept.toString("utf8").trim();
  }
}
