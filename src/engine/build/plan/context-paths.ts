/** Which part of a context a build reads. Pure. */
import { joinPath } from "../ignore/go-path.ts";
import type { BuildPlan } from "./plan-build.ts";
import type { Source } from "./steps.ts";

/** Paths and patterns, relative; "all" for everything, undefined where nothing of it is read. */
export function contextPaths(
  { steps, result }: Pick<BuildPlan, "steps" | "result">,
  context: string,
): "all" | readonly string[] | undefined {
  const isIt = (source: Source): boolean => source.kind === "context" && source.name === context;
  const whole = isIt(result) || steps.some((step) => isIt(step.parent));
  const paths = steps.flatMap((step): readonly string[] => {
    if (step.kind === "run")
      return step.mounts.flatMap(({ source, sourcePath }) => (isIt(source) ? [joinPath("/", sourcePath)] : []));
    if (step.kind !== "copy") return [];
    return step.actions.flatMap(({ origin }) => {
      if (origin.kind !== "files" || !isIt(origin.source)) return [];
      const { path, include } = origin;
      return include.length === 0 ? [path] : include.map((pattern) => joinPath(path, pattern));
    });
  });
  const relative = [...new Set(paths.map((path) => path.replace(/^\/+|\/+$/g, "")))].toSorted();
  if (whole || relative.some((path) => path === "" || path === ".")) return "all";
  return relative.length === 0 ? undefined : relative;
}
