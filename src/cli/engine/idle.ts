/** When an engine may leave: nothing runs and nobody is connected, for long enough. */
import { TscomposeError } from "../../errors.ts";
import type { Environment } from "./roots.ts";

const defaultIdleSeconds = 300;

/** Milliseconds; undefined: it stays for ever (`TSCOMPOSE_ENGINE_IDLE=0`). @throws compose/usage. */
export function readIdleMs(env: Environment): number | undefined {
  const text = env["TSCOMPOSE_ENGINE_IDLE"] ?? "";
  if (text === "") return defaultIdleSeconds * 1000;
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds > 1e6) {
    throw new TscomposeError("compose/usage", `TSCOMPOSE_ENGINE_IDLE must be a number of seconds, not "${text}"`);
  }
  return seconds === 0 ? undefined : seconds * 1000;
}

export interface IdleWatch {
  readonly idleMs: number;
  /** Monotonic milliseconds of the last sign of a client. */
  readonly quietSince: () => number;
  /** Whether a client is connected or a container runs. */
  readonly isBusy: () => Promise<boolean>;
  readonly onIdle: () => void;
}

/** Looks a few times within the period, until it is idle; does not keep the process alive. */
export function watchIdle(watch: IdleWatch): void {
  let busyAt = performance.now();
  const look = async (): Promise<void> => {
    if (await watch.isBusy()) busyAt = performance.now();
    else if (performance.now() - Math.max(busyAt, watch.quietSince()) >= watch.idleMs) return watch.onIdle();
    schedule();
  };
  const schedule = (): void => {
    const timer = setTimeout(() => void look().catch(schedule), Math.min(Math.max(watch.idleMs / 4, 50), 15_000));
    timer.unref();
  };
  schedule();
}
