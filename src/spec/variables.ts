import { extractVariables } from "./template.ts";
import type { TemplateVariable } from "./template.ts";
import type { Node } from "./tree.ts";

/** Every variable that the values of a tree mention, by name; of several mentions the last counts. */
export function treeVariables(root: Node): readonly TemplateVariable[] {
  const found = new Map<string, TemplateVariable>();
  const visit = (node: Node): void => {
    if (node.kind === "map") for (const entry of node.entries.values()) visit(entry.value);
    else if (node.kind === "seq") for (const item of node.items) visit(item);
    else if (typeof node.value === "string") {
      for (const variable of extractVariables(node.written ?? node.value)) found.set(variable.name, variable);
    }
  };
  visit(root);
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
