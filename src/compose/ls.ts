import { label } from "../planner/labels.ts";

import type { ComposeContext } from "./context.ts";

export interface ProjectRow {
  readonly name: string;
  /** `running(2), exited(1)`. */
  readonly status: string;
  readonly configFiles: string;
}

/** The projects of the engine, by name; without `all` those with a running container. */
export async function ls(context: ComposeContext, { all }: { readonly all: boolean }): Promise<readonly ProjectRow[]> {
  const filters = { label: [label.project, label.configHash] };
  const containers = await context.docker.listContainers({ all, filters, abortSignal: context.signal });
  const projects = new Map<string, { readonly states: Map<string, number>; readonly files: Set<string> }>();
  for (const { Labels: labels, State: state } of containers) {
    const name = labels[label.project] ?? "";
    const entry = projects.get(name) ?? { states: new Map<string, number>(), files: new Set<string>() };
    projects.set(name, entry);
    entry.states.set(state, (entry.states.get(state) ?? 0) + 1);
    for (const file of (labels[label.configFiles] ?? "").split(",")) if (file !== "") entry.files.add(file);
  }
  return [...projects]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, { states, files }]) => ({
      name,
      status: [...states]
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .map(([state, count]) => `${state}(${count})`)
        .join(", "),
      configFiles: files.size === 0 ? "N/A" : [...files].join(","),
    }));
}
