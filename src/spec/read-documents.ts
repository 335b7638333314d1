import type { ChainLink } from "./diagnostic.ts";
import type { LoadContext } from "./layer.ts";
import { maxFileBytes } from "./limits.ts";
import type { SourceRole } from "./source.ts";
import { createSourceFile } from "./source.ts";
import { isNull } from "./tree.ts";
import type { Node } from "./tree.ts";
import { decodeSource, readYaml } from "./yaml/read.ts";

/** The documents of a compose file; none for an empty file. Undefined after a reported error. */
export function readDocuments(
  path: string,
  role: SourceRole,
  chain: readonly ChainLink[],
  context: LoadContext,
): readonly Node[] | undefined {
  const key = `${role}\0${path}\0${chain.map((link) => `${link.file}:${String(link.line)}`).join("\0")}`;
  if (context.documents.has(key)) return context.documents.get(key);
  const documents = read(path, role, chain, context);
  context.documents.set(key, documents);
  return documents;
}

function read(
  path: string,
  role: SourceRole,
  chain: readonly ChainLink[],
  context: LoadContext,
): readonly Node[] | undefined {
  const { files, report } = context;
  const bytes = files.read(path, maxFileBytes);
  if (bytes === undefined) {
    const folder = files.kind(path) === "directory";
    const what = folder ? "is a folder, not a compose file" : "not found";
    report.error({ code: "file-not-found", message: `compose file ${path} ${what}`, chain });
    return undefined;
  }
  const file = decodeSource(bytes, path, role, chain, report);
  if (file === undefined) return undefined;
  const documents = readYaml(file, report, context.library);
  if (documents?.length === 1 && documents[0] !== undefined && isNull(documents[0])) return [];
  for (const document of documents ?? []) {
    if (document.kind === "map") continue;
    const at = isNull(document) ? { file: createSourceFile(path, file.text, role, chain), start: 0, end: 1 } : document;
    report.error({ code: "wrong-type", message: "a compose file must be a map of sections", at, expected: "a map" });
  }
  return documents;
}
