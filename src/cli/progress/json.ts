import type { ProgressEvent } from "../../planner/events.ts";

const statusWords = { working: "Working", done: "Done", warning: "Warning", error: "Error" } as const;

/** Keys are Docker Compose's. */
export function jsonLine({
  kind,
  name,
  parent,
  status,
  text,
  details,
  current,
  total,
}: ProgressEvent): string | undefined {
  if (status === "pending") return undefined;
  return JSON.stringify({
    id: parent === undefined ? `${kind} ${name}` : name,
    ...(parent === undefined ? {} : { parent_id: `${kind} ${parent}` }),
    status: statusWords[status],
    text,
    ...(details === undefined ? {} : { details }),
    ...(current === undefined ? {} : { current }),
    ...(total === undefined ? {} : { total }),
    ...(current === undefined || total === undefined || total === 0
      ? {}
      : { percent: Math.floor((current / total) * 100) }),
  });
}
