import type { PsRow } from "../../compose/ps.ts";
import { label } from "../../planner/labels.ts";

import { commandField, createdAtField, labelsField, mountsField, portsField } from "./container-fields.ts";
import { humanDuration, humanSize } from "./human.ts";
import { formatTable, listStyle } from "./table.ts";

export interface PsStyle {
  readonly full: boolean;
  readonly nowMs: number;
}

const headings = ["NAME", "IMAGE", "COMMAND", "SERVICE", "CREATED", "STATUS", "PORTS"];

export function formatPsTable(rows: readonly PsRow[], { full, nowMs }: PsStyle): readonly string[] {
  const cells = rows.map(({ name, image, service, summary }) => [
    name,
    image,
    commandField(summary.Command, full),
    service,
    `${humanDuration(nowMs - summary.Created * 1000)} ago`,
    summary.Status,
    portsField(summary.Ports),
  ]);
  return formatTable(headings, cells, listStyle);
}

/** The keys of Docker Compose, in its order. */
export function psJson(row: PsRow, { full, nowMs }: PsStyle): object {
  const { summary, labels } = row;
  return {
    Command: commandField(summary.Command, full),
    CreatedAt: createdAtField(summary.Created),
    Engine: "",
    ExitCode: row.exitCode ?? 0,
    Health: row.health === "none" ? "" : row.health,
    ID: full ? row.id : row.id.slice(0, 12),
    Image: row.image,
    Labels: labelsField(labels),
    LocalVolumes: String(summary.Mounts.filter(({ Driver }) => Driver === "local").length),
    Mounts: mountsField(summary.Mounts, full),
    Name: row.name,
    Names: row.name,
    Networks: row.networks.map(({ name }) => name).join(","),
    Ports: portsField(summary.Ports),
    Project: labels[label.project] ?? "",
    Publishers: summary.Ports.map(({ IP, PrivatePort, PublicPort, Type }) => ({
      URL: IP ?? "",
      TargetPort: PrivatePort,
      PublishedPort: PublicPort ?? 0,
      Protocol: Type,
    })),
    RunningFor: `${humanDuration(nowMs - summary.Created * 1000)} ago`,
    Service: row.service,
    Size: humanSize(summary.SizeRw ?? 0),
    State: row.state,
    Status: summary.Status,
  };
}
