/** The text of a `.dockerignore` file to its patterns. */
import { trimSpace } from "../dockerfile/go-text.ts";
import { cleanPath } from "./go-path.ts";

function normalise(pattern: string): string {
  if (pattern === "") return "";
  const cleaned = cleanPath(pattern);
  return cleaned.length > 1 && cleaned.startsWith("/") ? cleaned.slice(1) : cleaned;
}

/** Comments (a `#` in the first column) and blank lines are dropped; paths are cleaned and made relative. */
export function readIgnoreFile(text: string): readonly string[] {
  const body = text.startsWith("\ufeff") ? text.slice(1) : text;
  const patterns: string[] = [];
  for (const line of body.split("\n")) {
    if (line.startsWith("#")) continue;
    const trimmed = trimSpace(line);
    if (trimmed === "") continue;
    const inverted = trimmed.startsWith("!");
    const pattern = normalise(inverted ? trimSpace(trimmed.slice(1)) : trimmed);
    patterns.push(inverted ? `!${pattern}` : pattern);
  }
  return patterns;
}

/** Where the patterns are looked for, first found first: next to the Dockerfile by its name, then the context's own. */
export function ignoreFileNames(dockerfile: string): readonly [string, string] {
  return [`${dockerfile}.dockerignore`, ".dockerignore"];
}
