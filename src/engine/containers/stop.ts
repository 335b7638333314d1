/** Stops containers. Source: Docker's stop and kill; signal(7): the kernel drops a signal for PID 1 of a namespace that it has no
 *  handler for. */
import { readFileSync } from "node:fs";
import { TscomposeError } from "../../errors.ts";
import { containerAttributes } from "../events.ts";
import { freezeCgroup } from "../../host/cgroup.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { signalName, signalNumber } from "./create/signals.ts";
import { cgroupPathOf } from "./cgroup-place.ts";

export interface StopOptions {
  readonly timeoutSeconds: number | undefined;
  readonly signal: string | undefined;
}

const defaultGraceSeconds = 10;
const SIGKILL = 9;
const SIGTERM = 15;
/** A program that has just begun may still set its handler up: so long it has, counted from its start, and a moment in any case. */
const handlerSetupMs = 1000;
const handlerPatienceMs = { least: 20, most: 200 } as const;
const handlerPollMs = 10;

/** Ends the container's process: politely, and by force after the grace period. Resolves when it has ended and its end is
 *  recorded. The container is alive. @returns why it had no grace period, when it had none */
export async function endProcess(
  ctx: ContainerContext,
  container: Container,
  options: StopOptions,
): Promise<string | undefined> {
  const { config } = container.record;
  const signal = signalNumber(options.signal || config.StopSignal || "SIGTERM");
  const grace = options.timeoutSeconds ?? config.StopTimeout ?? defaultGraceSeconds;
  const explicit = options.timeoutSeconds !== undefined || config.StopTimeout !== undefined;
  container.update({ stoppedByUser: true });
  if (grace !== 0 && signal !== SIGKILL) {
    // Asked before the signal goes out: one that comes before its handler is lost, and the whole grace period with it.
    const heeded = await heeds(container, signal);
    if (container.alive) send(ctx, container, signal);
    if (container.state.status === "paused") thaw(ctx, container);
    if (!heeded && !explicit) {
      const reason = `its process cannot receive ${signalName(signal)}, so it was killed at once; \`init: true\` makes it receive it, stop_grace_period makes the engine wait`;
      ctx.log("info", `container ${container.name}: ${reason}`);
      if (container.alive) send(ctx, container, SIGKILL, { reason });
      await ctx.runs.settled(container, undefined);
      return reason;
    }
    if (await ctx.runs.settled(container, grace < 0 ? undefined : grace * 1000)) return undefined;
  }
  if (container.alive) send(ctx, container, SIGKILL);
  if (container.state.status === "paused") thaw(ctx, container);
  await ctx.runs.settled(container, undefined);
  return undefined;
}

function send(
  ctx: ContainerContext,
  container: Container,
  signal: number,
  more: Readonly<Record<string, string>> = {},
): void {
  const attributes = containerAttributes(container.record, { signal: String(signal), ...more });
  ctx.publish({ type: "container", action: "kill", id: container.id, attributes });
  ctx.runs.signal(container, signal);
}

/** Whether PID 1 can receive the signal, or may yet be able to. It ends in the meantime: true. An init can, but not before it has come
 *  so far. */
async function heeds(container: Container, signal: number): Promise<boolean> {
  const { PidMode, Init } = container.record.hostConfig;
  if (PidMode === "host") return true;
  const age = Date.now() - Date.parse(container.state.startedAt);
  const patience = Math.min(Math.max(handlerSetupMs - age, handlerPatienceMs.least), handlerPatienceMs.most);
  const deadline = performance.now() + patience;
  while (performance.now() < deadline) {
    const masks = signalMasks(container);
    if (masks === undefined || canReceive(masks, signal) || waitsForSignals(container)) return true;
    await new Promise((resolve) => setTimeout(resolve, handlerPollMs));
  }
  return Init === true;
}

interface SignalMasks {
  readonly caught: bigint;
  readonly blocked: bigint;
}

/** A blocked one can be waited for with signalfd(2) or sigwait(3). Pure. */
export function canReceive({ caught, blocked }: SignalMasks, signal: number): boolean {
  return (((caught | blocked) >> BigInt(signal - 1)) & 1n) === 1n;
}

/** Undefined: the process has ended. */
function signalMasks(container: Container): SignalMasks | undefined {
  const pid = container.state.process?.pid;
  if (pid === undefined) return undefined;
  try {
    const status = readFileSync(`/proc/${pid}/status`, "latin1");
    const mask = (name: string): bigint =>
      BigInt(`0x${new RegExp(`^${name}:\\s*([0-9a-f]+)`, "m").exec(status)?.[1] ?? "0"}`);
    if (/^State:\s*[ZX]/m.test(status)) return undefined;
    return { caught: mask("SigCgt"), blocked: mask("SigBlk") };
  } catch {
    return undefined;
  }
}

/** While a program is in sigtimedwait(2) the kernel does not show the signals that it waits for as blocked: no mask tells of them.
 *  Source: Linux kernel/signal.c, do_sigtimedwait. */
function waitsForSignals(container: Container): boolean {
  try {
    return readFileSync(`/proc/${container.state.process?.pid}/wchan`, "latin1").includes("sigtimedwait");
  } catch {
    return false; // it has ended, or the kernel does not tell
  }
}

function thaw(ctx: ContainerContext, container: Container): void {
  freezeCgroup(ctx.host.cgroup, cgroupPathOf(ctx, container), false);
  container.update({ status: "running" });
}

/** One signal. @throws container/wrong-status unless it runs, request/invalid */
export async function killContainer(
  ctx: ContainerContext,
  container: Container,
  wanted: string | undefined,
): Promise<void> {
  const signal = signalNumber(wanted || "KILL");
  if (!container.alive) {
    throw new TscomposeError(
      "container/wrong-status",
      `cannot kill container: ${container.name}: container ${container.id} is not running`,
    );
  }
  const ending = [SIGKILL, SIGTERM, signalNumber(container.record.config.StopSignal || "SIGTERM")];
  if (ending.includes(signal)) container.update({ stoppedByUser: true });
  send(ctx, container, signal);
  if (signal !== SIGKILL) return;
  if (container.state.status === "paused") thaw(ctx, container);
  await ctx.runs.settled(container, undefined);
}
