/** The namespaces of a container: new ones, the host's, or another container's. Pure. */
import type { NamespaceSpec } from "./spec-types.ts";

/** Where to find a namespace that exists: a path such as `/proc/<pid>/ns/net`; "new"; "host" leaves it out. */
export interface NamespacePlan {
  readonly network: string;
  readonly ipc: string;
  readonly pid: string;
  readonly uts: string;
  readonly cgroup: string;
  readonly user: string;
}

export function namespaceSpecs(plan: NamespacePlan): readonly NamespaceSpec[] {
  const spec = (type: NamespaceSpec["type"], choice: string): readonly NamespaceSpec[] => {
    if (choice === "host") return [];
    return [choice === "new" ? { type } : { type, path: choice }];
  };
  return [
    { type: "mount" },
    ...spec("network", plan.network),
    ...spec("uts", plan.uts),
    ...spec("pid", plan.pid),
    ...spec("ipc", plan.ipc),
    ...spec("cgroup", plan.cgroup),
    ...spec("user", plan.user),
  ];
}
