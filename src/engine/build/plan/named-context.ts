/** Contexts by another name: `--build-context base=...`, `additional_contexts:`. */
import { familiarName, tryParseReference } from "../../images/reference.ts";
import type { NamedContext } from "./options.ts";

/** `docker.io/library/debian:latest` and `debian` are one name. */
function canonical(name: string): string {
  const reference = tryParseReference(name);
  return reference === undefined ? name : familiarName(reference).replace(/:latest$/, "");
}

export function findNamedContext(
  contexts: Readonly<Record<string, NamedContext>>,
  name: string,
): NamedContext | undefined {
  const lower = name.toLowerCase();
  if (lower === "scratch" || lower === "context") return undefined;
  const wanted = canonical(name);
  return Object.entries(contexts).find(([key]) => canonical(key) === wanted)?.[1];
}
