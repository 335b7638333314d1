/** Removes the containers that do not run. Source: engine-api.md section 4. */
import { TscomposeError } from "../../errors.ts";
import { parseRfc3339 } from "../../host/clock.ts";
import { matchesLabel } from "../events.ts";
import type { Filters } from "../types.ts";
import { directorySize } from "../volumes/directory-size.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import type { Lifecycle } from "./lifecycle.ts";

export async function pruneContainers(
  ctx: ContainerContext,
  lifecycle: Lifecycle,
  filters: Filters,
): Promise<{ readonly ContainersDeleted: readonly string[]; readonly SpaceReclaimed: number }> {
  for (const key of filters.keys()) {
    if (!["label", "label!", "until"].includes(key))
      throw new TscomposeError("request/invalid", `invalid filter '${key}'`);
  }
  const untilNs = parseUntil(filters.get("until")?.[0]);
  const deleted: string[] = [];
  let reclaimed = 0;
  for (const container of ctx.registry.all()) {
    if (!isIdle(container) || !selected(container, filters, untilNs)) continue;
    const size = await directorySize(container.paths.upper);
    try {
      await lifecycle.remove(container, { force: false, volumes: false });
    } catch (error) {
      if (error instanceof TscomposeError && error.code === "container/wrong-status") continue; // started since
      throw error;
    }
    deleted.push(container.id);
    reclaimed += size;
  }
  ctx.publish({ type: "container", action: "prune", id: "", attributes: { reclaimed: String(reclaimed) } });
  return { ContainersDeleted: deleted, SpaceReclaimed: reclaimed };
}

function isIdle({ state }: Container): boolean {
  return state.status === "created" || state.status === "exited" || state.status === "dead";
}

function selected({ record }: Container, filters: Filters, untilNs: bigint | undefined): boolean {
  const labels = record.config.Labels ?? {};
  if (!(filters.get("label") ?? []).every((label) => matchesLabel(labels, label))) return false;
  if ((filters.get("label!") ?? []).some((label) => matchesLabel(labels, label))) return false;
  return untilNs === undefined || (parseRfc3339(record.created) ?? 0n) < untilNs;
}

const unitSeconds: Readonly<Record<string, number>> = { h: 3600, m: 60, s: 1, ms: 0.001 };

/** A duration before now (`1h30m`), an RFC 3339 time or Unix seconds -> Unix nanoseconds. @throws request/invalid */
export function parseUntil(text: string | undefined, nowMs = Date.now()): bigint | undefined {
  if (text === undefined || text === "") return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return BigInt(Math.round(Number(text) * 1000)) * 1_000_000n;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|h|m|s)/g)];
  if (parts.length > 0 && parts.map(([part]) => part).join("") === text) {
    const seconds = parts.reduce((sum, [, number, unit]) => sum + Number(number) * (unitSeconds[unit ?? ""] ?? 0), 0);
    return BigInt(Math.round(nowMs - seconds * 1000)) * 1_000_000n;
  }
  const time = parseRfc3339(text.length === 10 ? `${text}T00:00:00Z` : text);
  if (time === undefined) throw new TscomposeError("request/invalid", `invalid filter 'until=${text}'`);
  return time;
}
