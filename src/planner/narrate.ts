import type { OnProgress, ProgressEvent, ResourceKind } from "./events.ts";
import type { PerformResult } from "./execute.ts";
import type { Operation, OperationKind } from "./operation.ts";
import type { Plan, PlanNode } from "./plan.ts";

export interface Narrator {
  begin(node: PlanNode): void;
  end(node: PlanNode, result: PerformResult): void;
  fail(node: PlanNode, message: string): void;
}

/** Tells a plan's course in Docker Compose's words. The nodes of one group are told as one: `Recreate`, `Recreated`. */
export function createNarrator(plan: Plan, onProgress: OnProgress): Narrator {
  const open = new Map<string, number>();
  for (const { group } of plan.nodes) if (group !== undefined) open.set(group, (open.get(group) ?? 0) + 1);
  const begun = new Set<string>();
  const subjects = ({ operation }: PlanNode): readonly Subject[] =>
    operation.kind === "wait-service"
      ? operation.containers.map(({ name }) => ({ kind: "Container", name }))
      : [subjectOf(operation)];
  const tell = (node: PlanNode, status: ProgressEvent["status"], text: string, details?: string): void => {
    if (node.operation.kind === "remove-volume" && node.operation.anonymous && status !== "error") return;
    for (const subject of subjects(node)) {
      onProgress({ ...subject, status, text, ...(details === undefined ? {} : { details }) });
    }
  };
  for (const name of open.keys()) onProgress({ kind: "Container", name, status: "pending", text: "" });
  for (const node of plan.nodes) {
    if (node.group === undefined && wordsOf[node.operation.kind] !== undefined) tell(node, "pending", "");
  }
  return {
    begin(node) {
      if (node.group !== undefined) {
        if (begun.has(node.group)) return;
        begun.add(node.group);
        onProgress({ kind: "Container", name: node.group, status: "working", text: "Recreate" });
        return;
      }
      const words = wordsOf[node.operation.kind];
      if (words !== undefined) tell(node, "working", words[0]);
    },
    end(node, { warning }) {
      if (warning !== undefined) {
        tell(node, "warning", warning);
        return;
      }
      if (node.group !== undefined) {
        const left = (open.get(node.group) ?? 1) - 1;
        open.set(node.group, left);
        if (left === 0) onProgress({ kind: "Container", name: node.group, status: "done", text: "Recreated" });
        return;
      }
      const words = wordsOf[node.operation.kind];
      if (words !== undefined) tell(node, "done", doneWord(node.operation) ?? words[1]);
    },
    fail(node, message) {
      tell(node, "error", "Error", message);
    },
  };
}

/** What is said while it is done, and when it is. Undefined: nothing, for it is a step of something that is told. */
const wordsOf: Readonly<Record<OperationKind, readonly [string, string] | undefined>> = {
  "create-network": ["Creating", "Created"],
  "remove-network": ["Removing", "Removed"],
  "create-volume": ["Creating", "Created"],
  "remove-volume": ["Removing", "Removed"],
  "remove-image": ["Removing", "Removed"],
  "connect-network": undefined,
  "disconnect-network": undefined,
  "create-container": ["Creating", "Created"],
  "start-container": ["Starting", "Started"],
  "stop-container": ["Stopping", "Stopped"],
  "remove-container": ["Removing", "Removed"],
  "rename-container": undefined,
  "run-hook": undefined,
  "run-pre-start": undefined,
  "wait-service": ["Waiting", "Healthy"],
};

function doneWord(operation: Operation): string | undefined {
  return operation.kind === "wait-service" && operation.condition === "service_completed_successfully"
    ? "Exited"
    : undefined;
}

interface Subject {
  readonly kind: ResourceKind;
  readonly name: string;
}

function subjectOf(operation: Exclude<Operation, { readonly kind: "wait-service" }>): Subject {
  switch (operation.kind) {
    case "create-network":
    case "remove-network":
      return { kind: "Network", name: operation.name };
    case "create-volume":
    case "remove-volume":
      return { kind: "Volume", name: operation.name };
    case "remove-image":
      return { kind: "Image", name: operation.name };
    case "create-container":
      return { kind: "Container", name: operation.name };
    case "connect-network":
    case "disconnect-network":
    case "start-container":
    case "stop-container":
    case "remove-container":
    case "rename-container":
    case "run-hook":
    case "run-pre-start":
      return { kind: "Container", name: operation.container.name };
  }
}
