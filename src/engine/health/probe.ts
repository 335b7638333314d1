/** One run of a health check: a command in the container, its time limit, the first of its output. */
import { errorMessage } from "../../errors.ts";
import { formatNanoseconds, realtimeNs } from "../../host/clock.ts";
import type { RunningExec } from "../streams/exec-run.ts";
import type { HealthLogEntry } from "../types.ts";

const maxOutputBytes = 4096;

/** Never rejects: a check that cannot be run has failed, with exit code -1 and the reason as its output. */
export async function runProbe(start: () => Promise<RunningExec>, timeoutMs: number): Promise<HealthLogEntry> {
  const Start = formatNanoseconds(realtimeNs());
  const { exitCode, output } = await execute(start, timeoutMs);
  return { Start, End: formatNanoseconds(realtimeNs()), ExitCode: exitCode, Output: output };
}

async function execute(
  start: () => Promise<RunningExec>,
  timeoutMs: number,
): Promise<{ readonly exitCode: number; readonly output: string }> {
  let running: RunningExec;
  try {
    running = await start();
  } catch (error) {
    return { exitCode: -1, output: errorMessage(error) };
  }
  let timer: NodeJS.Timeout | undefined;
  const timedOut = new Promise<"timeout">((resolve) => {
    timer = setTimeout(() => resolve("timeout"), timeoutMs);
  });
  const output = collect(running);
  const end = await Promise.race([running.ended, timedOut]);
  clearTimeout(timer);
  if (end === "timeout") {
    running.kill();
    const seen = output.text();
    running.detach();
    const note = `Health check exceeded timeout (${formatDuration(timeoutMs)})`;
    return { exitCode: -1, output: seen === "" ? note : `${note}: ${seen}` };
  }
  await output.done;
  return { exitCode: end.exitCode, output: output.text() };
}

function collect(running: RunningExec): { readonly done: Promise<void>; text(): string } {
  const kept: Buffer[] = [];
  let size = 0;
  const read = async (): Promise<void> => {
    for await (const { data } of running.output) {
      if (size < maxOutputBytes) kept.push(data.subarray(0, maxOutputBytes - size));
      size += data.length;
    }
  };
  const text = (): string => `${Buffer.concat(kept).toString("utf8")}${size > maxOutputBytes ? "..." : ""}`;
  return { done: read(), text };
}

/** As Go prints it: `30s`, `1m30s`, `500ms`, `1.5s`. */
function formatDuration(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  const seconds = ms / 1000;
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor((seconds % 3600) / 60)];
  return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${Number((seconds % 60).toFixed(3))}s`;
}
