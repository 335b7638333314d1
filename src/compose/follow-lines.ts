/** The output of one container, followed also when the engine is restarted meanwhile. */
import type { Readable } from "node:stream";

import { apiTime } from "./api-time.ts";
import type { ComposeContext } from "./context.ts";
import type { EngineReturn } from "./engine-return.ts";
import { LogPosition, undated } from "./log-position.ts";
import { outputLines, type OutputLine } from "./log-lines.ts";

export interface FollowOptions {
  readonly id: string;
  readonly tty: boolean;
  readonly timestamps: boolean;
  readonly tail: number | "all";
  readonly since: string | undefined;
  readonly until: string | undefined;
}

/** Ends when the container does. @throws what the engine says; a broken connection only where no engine can come back */
export async function* followLines(
  context: ComposeContext,
  engineReturn: EngineReturn,
  { id, tty, timestamps, tail, since, until }: FollowOptions,
): AsyncGenerator<OutputLine, void, void> {
  const { signal } = context;
  const position = new LogPosition();
  const beginning = String(Date.now() / 1000);
  const restart = since ?? (tail === "all" ? undefined : beginning);
  let from: Pick<FollowOptions, "tail" | "since"> = { tail, since };
  for (;;) {
    try {
      const stream = await openLog(context, id, { follow: true, timestamps: true, until, ...from });
      for await (const line of outputLines(stream, { tty, signal })) {
        if (position.isNew(line)) yield timestamps ? line : { ...line, text: undated(line.text) };
      }
      return;
    } catch (error) {
      if (!engineReturn.isBroken(error)) throw error;
      await engineReturn.wait();
      position.reconnect();
      from = { tail: "all", since: position.since === undefined ? restart : apiTime(position.since) };
    }
  }
}

type LogQuery = Omit<FollowOptions, "id" | "tty"> & { readonly follow: boolean };

/** dockerode's `logs` gathers what it does not follow; logs can be larger than memory, so the route is asked for its stream. */
export async function openLog(
  { docker, signal }: ComposeContext,
  id: string,
  { follow, timestamps, tail, since, until }: LogQuery,
): Promise<Readable> {
  const options = { follow, stdout: true, stderr: true, timestamps, tail, since, until, abortSignal: signal };
  return await docker.modem.request<Readable>("containerLogs", { parameters: { id }, options });
}
