/** A plan: operations and what each has to wait for. It prints itself, so that `--dry-run` shows what would be done and a
 *  test reads as a specification. Pure. */
import { describeAction, describeResource, type Operation } from "./operation.ts";

export interface PlanNode {
  /** From 1, in the order of planning; a node only waits for lower ones. */
  readonly id: number;
  readonly operation: Operation;
  /** Ids, ascending, no repeats. */
  readonly after: readonly number[];
  /** Nodes of one group show as one line of progress: the name of the container that is recreated. */
  readonly group: string | undefined;
}

export interface Plan {
  readonly nodes: readonly PlanNode[];
}

export class PlanBuilder {
  readonly #nodes: PlanNode[] = [];

  /** Undefined entries of `after` are nothing to wait for. Returns the node's id. */
  add(operation: Operation, after: Iterable<number | undefined> = [], group?: string): number {
    const id = this.#nodes.length + 1;
    const ids = [...new Set(after)].filter((other) => other !== undefined).toSorted((a, b) => a - b);
    this.#nodes.push({ id, operation, after: ids, group });
    return id;
  }

  build(): Plan {
    return { nodes: [...this.#nodes] };
  }
}

/** `#3 container app-web-1: create after #1, #2 (does not exist)`, one line a node. */
export function formatPlan(plan: Plan): string {
  return plan.nodes.map(formatNode).join("\n");
}

function formatNode({ id, operation, after, group }: PlanNode): string {
  const waits = after.length === 0 ? "" : ` after ${after.map((other) => `#${other}`).join(", ")}`;
  const part = group === undefined ? "" : ` [recreate ${group}]`;
  return `#${id} ${describeResource(operation)}: ${describeAction(operation)}${waits} (${operation.cause})${part}`;
}
