/** JSON from outside: capped in size and depth before it is parsed, no duplicate or prototype keys after. Pure.
 *  Source: security.md I-07, I-08. */
import { TscomposeError } from "../../errors.ts";

/** distribution-spec: registries should take manifests of at least 4 MB; nothing larger is read. */
export const maxDocumentBytes = 4 * 1024 * 1024;
const maxDepth = 64;

export type JsonObject = Readonly<Record<string, unknown>>;

/** @throws image/invalid naming `subject` */
export function parseObject(content: Buffer, subject: string): JsonObject {
  const value = parseJson(content, subject);
  if (!isObject(value)) throw invalid(subject, "is not a JSON object");
  return value;
}

/** @throws image/invalid naming `subject` */
export function parseJson(content: Buffer, subject: string): unknown {
  if (content.length > maxDocumentBytes) throw invalid(subject, `is larger than ${maxDocumentBytes} bytes`);
  const text = content.toString("utf8");
  if (jsonDepth(text) > maxDepth) throw invalid(subject, "is nested too deeply");
  try {
    return JSON.parse(text, refusePrototypeKeys) as unknown;
  } catch (error) {
    throw invalid(subject, "is not valid JSON", error);
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refusePrototypeKeys(key: string, value: unknown): unknown {
  if (key === "__proto__") throw new Error("the key __proto__ is not accepted");
  return value;
}

/** Brackets outside strings; enough to refuse what would exhaust the stack. */
function jsonDepth(text: string): number {
  let depth = 0;
  let deepest = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === 0x22) {
      for (i++; i < text.length && text.charCodeAt(i) !== 0x22; i++) if (text.charCodeAt(i) === 0x5c) i++;
    } else if (code === 0x5b || code === 0x7b) deepest = Math.max(deepest, ++depth);
    else if (code === 0x5d || code === 0x7d) depth--;
  }
  return deepest;
}

function invalid(subject: string, what: string, cause?: unknown): TscomposeError {
  return new TscomposeError("image/invalid", `${subject} ${what}`, cause === undefined ? {} : { cause });
}
