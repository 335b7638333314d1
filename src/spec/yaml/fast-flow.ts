import { resolvePlain } from "../scalar.ts";
import { map, scalar, seq } from "../tree.ts";
import type { Entry, Node } from "../tree.ts";
import { declined, isBreak, readDouble, readSingle } from "./fast-scalars.ts";
import { colon, count, dash, enter, hash, notPlain, space, text } from "./fast-state.ts";
import type { Reader } from "./fast-state.ts";

/** `[...]` and `{...}` for the fast reader. */

function skipFlowSpace(reader: Reader): void {
  const source = reader.text;
  for (;;) {
    const code = source.charCodeAt(reader.at);
    if (code === space || code === 10) reader.at++;
    else if (code === hash && isBreak(source.charCodeAt(reader.at - 1))) {
      const end = source.indexOf("\n", reader.at);
      if (end === -1) throw declined;
      reader.at = end;
    } else if (code === 9 || Number.isNaN(code)) throw declined;
    else return;
  }
}

export function readFlow(reader: Reader): Node {
  enter(reader);
  const node = text(reader) === 91 ? readFlowSequence(reader) : readFlowMap(reader);
  reader.depth--;
  return node;
}

function readFlowSequence(reader: Reader): Node {
  const start = reader.at++;
  const items: Node[] = [];
  for (;;) {
    skipFlowSpace(reader);
    if (text(reader) === 93) break;
    items.push(readFlowValue(reader));
    skipFlowSpace(reader);
    const code = text(reader);
    if (code === 44) reader.at++;
    else if (code !== 93) throw declined;
  }
  reader.at++;
  return seq(items, { file: reader.file, start, end: reader.at });
}

function readFlowMap(reader: Reader): Node {
  const start = reader.at++;
  const entries = new Map<string, Entry>();
  for (;;) {
    skipFlowSpace(reader);
    if (text(reader) === 125) break;
    const keyStart = reader.at;
    const keyNode = readFlowScalar(reader);
    if (keyNode.kind !== "scalar" || typeof keyNode.value !== "string" || keyNode.value === "<<") throw declined;
    if (entries.has(keyNode.value)) throw declined;
    const keyEnd = reader.at;
    skipFlowSpace(reader);
    let value: Node = scalar(null, { file: reader.file, start: keyEnd, end: keyEnd });
    if (text(reader) === colon) {
      reader.at++;
      skipFlowSpace(reader);
      if (text(reader) !== 44 && text(reader) !== 125) value = readFlowValue(reader);
      skipFlowSpace(reader);
    }
    entries.set(keyNode.value, { keyStart, keyEnd, keyFile: reader.file, value });
    const code = text(reader);
    if (code === 44) reader.at++;
    else if (code !== 125) throw declined;
  }
  reader.at++;
  return map(entries, { file: reader.file, start, end: reader.at });
}

function readFlowValue(reader: Reader): Node {
  count(reader, 1);
  const code = text(reader);
  if (code === 91 || code === 123) return readFlow(reader);
  if (code === 42 || code === 38 || code === 33 || code === 44) throw declined;
  return readFlowScalar(reader);
}

function readFlowScalar(reader: Reader): Node {
  const source = reader.text;
  const start = reader.at;
  const first = text(reader);
  if (first === 34 || first === 39) {
    const value = first === 34 ? readDouble(reader) : readSingle(reader);
    return scalar(value, { file: reader.file, start, end: reader.at });
  }
  if (notPlain.has(first) && !(first === dash && !isBreak(source.charCodeAt(start + 1)))) throw declined;
  let end = start;
  let at = start;
  for (; ; at++) {
    const code = source.charCodeAt(at);
    if (code === 44 || code === 93 || code === 125) break;
    if (code === 10 || code === 9 || code === 91 || code === 123 || Number.isNaN(code)) throw declined;
    if (code === colon) {
      const next = source.charCodeAt(at + 1);
      if (isBreak(next)) break;
      if (next === 44 || next === 93 || next === 125) throw declined;
    }
    if (code === hash && source.charCodeAt(at - 1) === space) throw declined;
    if (code !== space) end = at + 1;
  }
  reader.at = end;
  const resolved = resolvePlain(source.slice(start, end));
  return scalar(resolved.value, { file: reader.file, start, end }, resolved.float);
}
