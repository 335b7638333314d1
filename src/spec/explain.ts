import type { VariableScope } from "./env-context.ts";
import type { Origin } from "./load-options.ts";
import type { Project } from "./model.ts";
import type { FileOrigins } from "./service-env.ts";
import type { MapNode } from "./tree.ts";

export interface History {
  readonly tree: MapNode;
  /** The project's own first, then those of its includes. */
  readonly scopes: readonly VariableScope[];
  readonly fileOrigins: FileOrigins;
  readonly project: Project;
}

export function explain(_history: History, _path: readonly string[]): readonly Origin[] | undefined {
  return undefined;
}
