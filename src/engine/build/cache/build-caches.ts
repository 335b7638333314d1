/** The caches that one build names: read before its steps run, written when they have. */
import { errorMessage } from "../../../errors.ts";
import type { BuildPlan } from "../plan/plan-build.ts";
import type { BuildRequest } from "../types.ts";
import { inlineKey, renderInline } from "./cache-config.ts";
import { parseCacheExport, parseCacheImport, type CacheExport, type CacheImport } from "./cache-entry.ts";
import { exportCache, type SolvedStep } from "./export-cache.ts";
import { ImportedSteps, type CacheTools } from "./import-cache.ts";

export interface BuildCaches {
  readonly from: readonly CacheImport[];
  readonly to: readonly CacheExport[];
}

/** The build argument `BUILDKIT_INLINE_CACHE` is `type=inline`, as in BuildKit.
 *  @throws request/unsupported, request/invalid */
export function cachesOf({ cacheFrom, cacheTo, buildArgs }: BuildRequest): BuildCaches {
  const inline = /^(?:1|t|true)$/i.test(buildArgs["BUILDKIT_INLINE_CACHE"] ?? "");
  const to = cacheTo.map(parseCacheExport);
  return {
    from: cacheFrom.map(parseCacheImport),
    to: inline && !to.some(({ kind }) => kind === "inline") ? [...to, { kind: "inline" }] : to,
  };
}

/** Undefined where the build has to do with no cache but the engine's own. */
export async function openImports(tools: CacheTools, { from, to }: BuildCaches): Promise<ImportedSteps | undefined> {
  return from.length + to.length === 0 ? undefined : await ImportedSteps.open(tools, from);
}

export function wantsEveryStep({ to }: BuildCaches): boolean {
  return to.some((target) => target.kind !== "inline" && target.mode === "max");
}

/** The steps on the way to the result, lowest first. */
function chainOf(solved: ReadonlyMap<number, SolvedStep>, result: BuildPlan["result"]): readonly SolvedStep[] {
  const chain: SolvedStep[] = [];
  let at = result.kind === "step" ? solved.get(result.step) : undefined;
  while (at !== undefined) {
    chain.push(at);
    at = at.parent === undefined ? undefined : solved.get(at.parent);
  }
  return chain.toReversed();
}

/** What goes into the image's configuration for `type=inline`. @param layers how many it has */
export function inlineCache(
  { to }: BuildCaches,
  solved: ReadonlyMap<number, SolvedStep>,
  { result, layers }: { readonly result: BuildPlan["result"]; readonly layers: number },
): Readonly<Record<string, string>> {
  if (!to.some(({ kind }) => kind === "inline")) return {};
  const chain = chainOf(solved, result);
  const base = layers - chain.length;
  const records = chain.flatMap(({ keys }, index) => keys.map((key) => ({ key, layer: base + index })));
  return { [inlineKey]: renderInline(records) };
}

/** @throws what an export throws that may not fail */
export async function writeCaches(
  tools: CacheTools,
  { to }: BuildCaches,
  { solved, result }: { readonly solved: ReadonlyMap<number, SolvedStep>; readonly result: BuildPlan["result"] },
): Promise<void> {
  for (const target of to) {
    if (target.kind === "inline") continue;
    const all = [...solved.values()].toSorted((a, b) => a.id - b.id);
    try {
      await exportCache(tools, target, target.mode === "max" ? all : chainOf(solved, result));
    } catch (error) {
      tools.signal.throwIfAborted();
      if (!target.ignoreError) throw error;
      tools.warn(`the build cache was not exported: ${errorMessage(error)}`);
    }
  }
}
