/** Whether a container that has ended comes back, and when. Pure. Source: Docker's restart policies: 100 ms, doubled each time up
 *  to a minute, from the start again after ten seconds of running. */
import type { RestartPolicy } from "../types.ts";

const firstDelayMs = 100;
const longestDelayMs = 60_000;
const steadyMs = 10_000;

export interface EndedRun {
  readonly policy: RestartPolicy | undefined;
  readonly exitCode: number;
  /** Restarts by policy since the last start that was asked for. */
  readonly restartCount: number;
  readonly stoppedByUser: boolean;
  readonly ranMs: number;
  /** Delay before this run; 0: it was not a restart. */
  readonly lastDelayMs: number;
}

export type RestartDecision = { readonly restart: false } | { readonly restart: true; readonly delayMs: number };

export function decideRestart(run: EndedRun): RestartDecision {
  if (!wanted(run)) return { restart: false };
  const fresh = run.lastDelayMs === 0 || run.ranMs >= steadyMs;
  return { restart: true, delayMs: fresh ? firstDelayMs : Math.min(run.lastDelayMs * 2, longestDelayMs) };
}

function wanted({ policy, exitCode, restartCount, stoppedByUser }: EndedRun): boolean {
  if (stoppedByUser) return false;
  switch (policy?.Name) {
    case "always":
    case "unless-stopped":
      return true;
    case "on-failure": {
      const most = policy.MaximumRetryCount ?? 0;
      return exitCode !== 0 && (most === 0 || restartCount < most);
    }
    case "no":
    case "":
    case undefined:
      return false;
  }
}

/** Whether a container that was found ended when the engine came up (after a reboot, say) is started. */
export function startsWithEngine(policy: RestartPolicy | undefined, stoppedByUser: boolean): boolean {
  if (policy?.Name === "always") return true;
  return policy?.Name === "unless-stopped" && !stoppedByUser;
}
