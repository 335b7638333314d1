import { maxFileBytes, maxNodes } from "../limits.ts";
import type { Report } from "../report.ts";
import { createSourceFile } from "../source.ts";
import type { SourceFile } from "../source.ts";
import type { Node } from "../tree.ts";
import { readFast } from "./fast-reader.ts";
import { readWithLibrary } from "./library-reader.ts";
import type { YamlLibrary } from "./library-reader.ts";

/** Thrown where a file is beyond the fast reader and the library is not loaded yet; the load starts again with it. */
export const needsLibrary = new Error("the yaml library must be loaded");

/** Text to one node per document. Undefined after a reported error. */
export function readYaml(file: SourceFile, report: Report, library: YamlLibrary | undefined): Node[] | undefined {
  const fast = readFast(file, maxNodes);
  if (fast !== undefined) return fast;
  if (library === undefined) throw needsLibrary;
  return readWithLibrary(library, file, report);
}

// Every control character but tab and line feed; carriage returns are gone by then.
// eslint-disable-next-line no-control-regex -- looking for them is the point
const control = /[\0-\x08\x0b-\x1f\x7f\ufffe\uffff]/;

/** Bytes to text: bounded, UTF-8, no control characters, `\n` line ends. Undefined after a reported error. */
export function decodeSource(
  bytes: Uint8Array,
  path: string,
  role: SourceFile["role"],
  chain: SourceFile["chain"],
  report: Report,
): SourceFile | undefined {
  const empty = createSourceFile(path, "", role, chain);
  if (bytes.byteLength > maxFileBytes) {
    const limit = `${String(maxFileBytes / 1024 / 1024)} MiB`;
    report.error({ code: "too-large", message: `file is larger than ${limit}`, at: { file: empty, start: 0, end: 0 } });
    return undefined;
  }
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const file = createSourceFile(path, new TextDecoder("utf-8").decode(bytes), role, chain);
    const at = Math.max(0, file.text.indexOf("\ufffd"));
    report.error({
      code: "encoding",
      message: "file is not UTF-8 text",
      at: { file, start: at, end: at + 1 },
      suggestion: "save it as UTF-8",
    });
    return undefined;
  }
  if (text.includes("\r")) text = text.replace(/\r\n?/g, "\n");
  const file = createSourceFile(path, text, role, chain);
  const bad = control.exec(text);
  if (bad !== null) {
    const code = bad[0].codePointAt(0) ?? 0;
    report.error({
      code: "encoding",
      message: `control character U+${code.toString(16).toUpperCase().padStart(4, "0")} is not allowed in YAML`,
      at: { file, start: bad.index, end: bad.index + 1 },
    });
    return undefined;
  }
  return file;
}
