import { pathTable, step } from "./path-table.ts";
import type { PathTable } from "./path-table.ts";
import type { Report } from "./report.ts";
import { isIpAddress } from "./short/port.ts";
import { child, keySpan, stringAt } from "./tree.ts";
import type { MapNode, Node, TreePath } from "./tree.ts";

type Check = (node: Node, path: TreePath, report: Report) => void;

/** Rules that a single value or block can break, whatever the rest says. */
export function checkTree(root: Node, report: Report): void {
  walk(root, checks, [], report);
}

function walk(node: Node, table: PathTable<Check>, path: string[], report: Report): void {
  table.value?.(node, path, report);
  if (node.kind === "map") {
    for (const [key, entry] of node.entries) {
      const next = step(table, key);
      if (next === undefined) continue;
      path.push(key);
      walk(entry.value, next, path, report);
      path.pop();
    }
  } else if (node.kind === "seq") {
    for (const [index, item] of node.items.entries()) {
      const next = step(table, String(index));
      if (next === undefined) continue;
      path.push(String(index));
      walk(item, next, path, report);
      path.pop();
    }
  }
}

function forMap(check: (node: MapNode, path: TreePath, report: Report) => void): Check {
  return (node, path, report) => {
    if (node.kind === "map") check(node, path, report);
  };
}

const externalVolume = forMap((node, path, report) => {
  const external = child(node, "external");
  if (external?.kind !== "scalar" || external.value !== true) return;
  for (const [key, entry] of node.entries) {
    if (key === "name" || key === "external" || key.startsWith("x-")) continue;
    report.error({
      code: "conflict",
      message: `${path.join(".")} is external and says "${key}", which only a volume of the project can`,
      path: [...path, key],
      at: keySpan(entry),
      suggestion: `take out "${key}" or "external"`,
    });
  }
});

function oneSource(keys: readonly string[]): Check {
  return forMap((node, path, report) => {
    const given = keys.filter((key) => node.entries.has(key));
    const list = keys.map((key) => `"${key}"`).join(", ");
    const shown = path.join(".");
    const [, second] = given;
    if (second !== undefined) {
      const message = `${shown} has several sources: ${given.join(", ")}`;
      const at = child(node, second);
      report.error({ code: "conflict", message, path: [...path, second], at, expected: `one of ${list}` });
    } else if (given.length === 0 && !node.entries.has("driver") && !node.entries.has("external")) {
      const message = `${shown} says nothing about its content`;
      report.error({ code: "missing-key", message, path, at: node, expected: `one of ${list}` });
    }
  });
}

const hostIp = forMap((node, path, report) => {
  const ip = stringAt(node, "host_ip");
  if (ip === undefined || isIpAddress(ip)) return;
  const at = child(node, "host_ip");
  const message = `${path.join(".")}.host_ip is "${ip}"`;
  report.error({ code: "invalid-value", message, path: [...path, "host_ip"], at, expected: "an IP address" });
});

const notBlank: Check = (node, path, report) => {
  if (node.kind !== "scalar" || node.value !== "") return;
  report.error({ code: "invalid-value", message: `${path.join(".")} is empty`, path, at: node, expected: "a path" });
};

const countOrIds = forMap((node, path, report) => {
  if (!node.entries.has("count") || !node.entries.has("device_ids")) return;
  const message = `${path.join(".")} says both "count" and "device_ids"`;
  report.error({ code: "conflict", message, path, at: child(node, "device_ids"), expected: "one of the two" });
});

const checks = pathTable<Check>([
  ["volumes.*", externalVolume],
  ["configs.*", oneSource(["file", "environment", "content"])],
  ["secrets.*", oneSource(["file", "environment"])],
  ["services.*.ports.*", hostIp],
  ["services.*.develop.watch.*.path", notBlank],
  ["services.*.deploy.resources.reservations.devices.*", countOrIds],
  ["services.*.gpus.*", countOrIds],
]);
