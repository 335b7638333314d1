import type { Report } from "./report.ts";
import { formatScalar } from "./scalar.ts";
import type { Node, ScalarNode, TreePath } from "./tree.ts";

const octal = /^[-+]?0[0-7_]+$/;
const sexagesimal = /^[0-9]{1,2}(?::[0-5][0-9])+$/;

/** Whether a value may be one of YAML's traps: cheap, asked of every value. */
export function mayBeTrap(node: Node): node is ScalarNode {
  if (node.kind !== "scalar") return false;
  const { value } = node;
  if (typeof value === "number") return node.file.text.charCodeAt(node.start) === 48 && node.end - node.start > 1;
  if (typeof value !== "string" || value.length < 4 || value.length > 8) return false;
  const first = node.file.text.charCodeAt(node.start);
  return first >= 48 && first <= 57 && value.includes(":");
}

/** Warns of an unquoted value that YAML reads as another number than it looks like, or that readers of YAML 1.1 do. A file mode
 *  is meant to be octal. */
export function warnOfTrap(node: ScalarNode, path: TreePath, report: Report): void {
  const text = node.file.text.slice(node.start, node.end);
  const suggestion = `put it in quotes: "${text}"`;
  if (typeof node.value === "number" && octal.test(text) && path.at(-1) !== "mode") {
    const message = `YAML reads ${text} as the number ${formatScalar(node.value)}`;
    report.warning({ code: "yaml-trap", message, path, at: node, suggestion });
  } else if (typeof node.value === "string" && sexagesimal.test(text)) {
    const message = `YAML 1.1 reads ${text} as a number in base 60; here it is text`;
    report.warning({ code: "yaml-trap", message, path, at: node, suggestion });
  }
}
