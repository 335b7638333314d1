import type { ProjectRule } from "./rule.ts";

/** `depends_on` must not come back to where it began. Names the cycle; each cycle once. */
export const noCycles: ProjectRule = (project) => {
  const done = new Set<string>();
  const trail: string[] = [];
  const cycles: string[][] = [];
  const visit = (name: string): void => {
    const at = trail.indexOf(name);
    if (at !== -1) {
      cycles.push([...trail.slice(at), name]);
      return;
    }
    if (done.has(name)) return;
    trail.push(name);
    const service = Object.hasOwn(project.services, name) ? project.services[name] : undefined;
    for (const target of Object.keys(service?.depends_on ?? {})) visit(target);
    trail.pop();
    done.add(name);
  };
  for (const name of Object.keys(project.services)) visit(name);
  return cycles.map((cycle) => ({
    code: "cycle",
    message: `services depend on each other in a circle: ${cycle.join(" -> ")}`,
    path: ["services", cycle.at(-2) ?? "", "depends_on", cycle.at(-1) ?? ""],
  }));
};
