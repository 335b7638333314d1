import type { ProgressEvent } from "../../planner/events.ts";
import { printable } from "../report-error.ts";

/** ` Container app-web-1 Created `: one space in front and, where there are no details, one behind, as Docker Compose prints it.
 *  Undefined for what only a live view shows. */
export function plainLine({ kind, name, parent, text, details, status }: ProgressEvent): string | undefined {
  if (status === "pending" || (parent !== undefined && status === "working")) return undefined;
  const subject = parent === undefined ? `${kind} ${name}` : `${parent} ${name}`;
  return ` ${printable(subject)} ${printable(text)} ${printable(details ?? "")}`;
}
