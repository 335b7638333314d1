import { resolvePlain } from "../scalar.ts";
import type { SourceFile } from "../source.ts";
import { map, scalar, seq } from "../tree.ts";
import type { Entry, MapNode, Node } from "../tree.ts";
import { declined, isBlank, isBreak, readBlockScalar, readDouble, readSingle, sizeOf } from "./fast-scalars.ts";
import { readFlow } from "./fast-flow.ts";
import { colon, count, dash, enter, hash, notPlain, space, text } from "./fast-state.ts";
import type { Reader } from "./fast-state.ts";
import { foldMergeKey } from "./merge-key.ts";

/** Reads the YAML that compose files are made of, about ten times as fast as a general parser. It knows what it does not know:
 *  for anything else (complex keys, directives, tags, odd folding, every error) it returns undefined and the library reads
 *  the file. A test holds the two to the same trees. Returns one node per document. */
export function readFast(file: SourceFile, maxNodes: number): Node[] | undefined {
  try {
    return readDocuments(file, maxNodes);
  } catch (error) {
    if (error === declined) return undefined;
    throw error;
  }
}

function readDocuments(file: SourceFile, maxNodes: number): Node[] {
  const reader: Reader = {
    file,
    text: file.text,
    at: 0,
    anchors: new Map(),
    maxNodes,
    nodes: 0,
    depth: 0,
    column: 0,
    colon: 0,
  };
  if (reader.text.charCodeAt(0) === 0xfeff) reader.at = 1;
  const documents: Node[] = [];
  for (;;) {
    const found = nextContent(reader);
    if (found === "end" && documents.length > 0) return documents;
    if (found === "marker") {
      if (reader.text.startsWith("...", reader.at)) throw declined;
      reader.at += 3;
      finishLine(reader);
      const inside = nextContent(reader);
      reader.anchors.clear();
      documents.push(inside === "content" ? readBlock(reader, -1) : empty(reader));
      if (nextContent(reader) === "content") throw declined;
      continue;
    }
    if (documents.length > 0) throw declined;
    documents.push(found === "content" ? readBlock(reader, -1) : empty(reader));
    if (found === "end") return documents;
    if (nextContent(reader) === "content") throw declined;
  }
}

/** Moves to the next line with content. `marker`: a document marker, at its first character. */
function nextContent(reader: Reader): "content" | "marker" | "end" {
  const { text } = reader;
  for (;;) {
    const lineStart = reader.at;
    let at = lineStart;
    while (text.charCodeAt(at) === space) at++;
    const code = text.charCodeAt(at);
    if (Number.isNaN(code)) {
      reader.at = at;
      return "end";
    }
    if (code === hash) {
      const end = text.indexOf("\n", at);
      reader.at = end === -1 ? text.length : end + 1;
      continue;
    }
    if (code === 10) {
      reader.at = at + 1;
      continue;
    }
    if (code === 9) throw declined;
    reader.at = at;
    reader.column = at - lineStart;
    if (reader.column === 0) {
      if (code === 37) throw declined;
      if (isMarker(text, at)) return "marker";
    }
    return "content";
  }
}

function isMarker(text: string, at: number): boolean {
  if (!text.startsWith("---", at) && !text.startsWith("...", at)) return false;
  return isBreak(text.charCodeAt(at + 3));
}

/** From the end of a value: nothing but space and a comment may follow. Moves to the start of the next line. */
function finishLine(reader: Reader): void {
  const { text } = reader;
  let at = reader.at;
  while (isBlank(text.charCodeAt(at))) at++;
  const code = text.charCodeAt(at);
  if (code === hash && (at === reader.at || !isBlank(text.charCodeAt(at - 1)))) throw declined;
  if (code !== hash && code !== 10 && !Number.isNaN(code)) throw declined;
  const end = text.indexOf("\n", at);
  reader.at = end === -1 ? text.length : end + 1;
}

function skipLine(reader: Reader): void {
  const end = reader.text.indexOf("\n", reader.at);
  reader.at = end === -1 ? reader.text.length : end + 1;
}

/** A node that begins at the current content. `parent`: the column that it must be to the right of. */
function readBlock(reader: Reader, parent: number): Node {
  const { text, at, column } = reader;
  const code = text.charCodeAt(at);
  if (code === dash && isBreak(text.charCodeAt(at + 1))) return readSequence(reader, column);
  if (startsKey(reader, at)) return readMap(reader, column);
  // No compose file is a single value, and markers end one in ways of their own.
  if (parent < 0) throw declined;
  return readInline(reader, parent);
}

function readMap(reader: Reader, column: number): MapNode {
  enter(reader);
  const entries = new Map<string, Entry>();
  const start = reader.at;
  let merge: Node | undefined;
  let end = start;
  for (;;) {
    const keyStart = reader.at;
    const key = readKey(reader);
    const keyEnd = reader.at;
    if (entries.has(key) || (key === "<<" && merge !== undefined)) throw declined;
    while (text(reader) !== colon) reader.at++;
    reader.at++;
    const value = readValue(reader, column, true);
    end = value.end;
    if (key === "<<" && reader.text.charCodeAt(keyStart) === 60) merge = value;
    else entries.set(key, { keyStart, keyEnd, keyFile: reader.file, value });
    if (nextContent(reader) !== "content") break;
    if (reader.column < column) {
      rewindToLine(reader);
      break;
    }
    if (reader.column > column || !startsKey(reader, reader.at)) throw declined;
  }
  reader.depth--;
  const node = map(entries, { file: reader.file, start, end });
  if (merge === undefined) return node;
  const folded = foldMergeKey(node, merge);
  if (folded === undefined) throw declined;
  count(reader, folded.entries.size);
  return folded;
}

function readSequence(reader: Reader, column: number): Node {
  enter(reader);
  const items: Node[] = [];
  const start = reader.at;
  let end = start;
  for (;;) {
    reader.at++;
    const item = readValue(reader, column, false);
    items.push(item);
    end = item.end;
    if (nextContent(reader) !== "content") break;
    if (reader.column > column) throw declined;
    const another = text(reader) === dash && isBreak(reader.text.charCodeAt(reader.at + 1));
    if (reader.column < column || !another) {
      rewindToLine(reader);
      break;
    }
  }
  reader.depth--;
  return seq(items, { file: reader.file, start, end });
}

/** What stands after `key:` or `-`. `ofMap`: a sequence may then stand in the column of the key. */
function readValue(reader: Reader, column: number, ofMap: boolean): Node {
  count(reader, 1);
  const source = reader.text;
  const before = reader.at;
  skipBlanks(reader);
  let code = source.charCodeAt(reader.at);
  let anchor: string | undefined;
  if (code === 38) {
    anchor = readName(reader);
    skipBlanks(reader);
    code = source.charCodeAt(reader.at);
  }
  if (code === 33) throw declined;
  let node: Node;
  if (code === 10 || Number.isNaN(code) || code === hash) {
    skipLine(reader);
    node = readBelow(reader, column, ofMap, before);
  } else if (!ofMap && code === dash && isBreak(source.charCodeAt(reader.at + 1))) {
    if (anchor !== undefined) throw declined;
    node = readSequence(reader, columnOf(reader));
  } else if (!ofMap && startsKey(reader, reader.at)) {
    if (anchor !== undefined) throw declined;
    node = readMap(reader, columnOf(reader));
  } else {
    node = readInline(reader, column);
  }
  if (anchor !== undefined) reader.anchors.set(anchor, node);
  return node;
}

/** The value stands on the lines below its key, or nowhere. */
function readBelow(reader: Reader, column: number, ofMap: boolean, from: number): Node {
  const here = { file: reader.file, start: from, end: from };
  if (nextContent(reader) !== "content") return scalar(null, here);
  const isItem = text(reader) === dash && isBreak(reader.text.charCodeAt(reader.at + 1));
  if (reader.column > column || (ofMap && isItem && reader.column === column)) return readBlock(reader, column);
  rewindToLine(reader);
  return scalar(null, here);
}

/** Undoes `nextContent` for whoever looks next: it must stand at the start of a line. */
function rewindToLine(reader: Reader): void {
  reader.at -= reader.column;
}

function columnOf(reader: Reader): number {
  return reader.at - (reader.text.lastIndexOf("\n", reader.at - 1) + 1);
}

function skipBlanks(reader: Reader): void {
  while (isBlank(reader.text.charCodeAt(reader.at))) {
    if (reader.text.charCodeAt(reader.at) === 9) throw declined;
    reader.at++;
  }
}

function readName(reader: Reader): string {
  const start = ++reader.at;
  while (/[\w.-]/.test(reader.text[reader.at] ?? "")) reader.at++;
  if (reader.at === start || !isBreak(text(reader))) throw declined;
  return reader.text.slice(start, reader.at);
}

/** A value on this line (and, where it folds, on those below). Leaves the reader at the start of the next line. */
function readInline(reader: Reader, column: number): Node {
  const code = text(reader);
  if (code === 42) return readAlias(reader);
  if (code === 124 || code === 62) return readBlockScalar(reader, column);
  if (code === 91 || code === 123) {
    const node = readFlow(reader);
    finishLine(reader);
    return node;
  }
  if (code === 34 || code === 39) {
    const start = reader.at;
    const value = code === 34 ? readDouble(reader) : readSingle(reader);
    const node = scalar(value, { file: reader.file, start, end: reader.at });
    finishLine(reader);
    return node;
  }
  return readPlain(reader, column);
}

function readAlias(reader: Reader): Node {
  const target = reader.anchors.get(readName(reader));
  if (target === undefined) throw declined;
  count(reader, sizeOf(target));
  finishLine(reader);
  return target;
}

function readPlain(reader: Reader, column: number): Node {
  const source = reader.text;
  const start = reader.at;
  const first = text(reader);
  if (notPlain.has(first)) {
    const dashOrColon = first === dash || first === colon || first === 63;
    if (!dashOrColon || isBreak(source.charCodeAt(start + 1))) throw declined;
  }
  let end = plainEnd(reader, start);
  let value = source.slice(start, end);
  reader.at = end;
  const comment = source.charCodeAt(skipped(source, end)) === hash;
  finishLine(reader);
  let folded = false;
  for (;;) {
    const lineStart = reader.at;
    let at = lineStart;
    let breaks = 0;
    for (;;) {
      const from = at;
      while (source.charCodeAt(at) === space) at++;
      if (source.charCodeAt(at) !== 10) {
        if (at - from <= column || Number.isNaN(source.charCodeAt(at))) {
          reader.at = lineStart;
          return finishPlain(reader, value, folded, start, end);
        }
        break;
      }
      breaks++;
      at++;
    }
    if (source.charCodeAt(at) === hash) {
      reader.at = lineStart;
      return finishPlain(reader, value, folded, start, end);
    }
    if (comment || source.charCodeAt(at) === 9 || (column < 0 && isMarker(source, at))) throw declined;
    end = plainEnd(reader, at);
    value += (breaks === 0 ? " " : "\n".repeat(breaks)) + source.slice(at, end);
    folded = true;
    reader.at = end;
    if (source.charCodeAt(skipped(source, end)) === hash) throw declined;
    finishLine(reader);
  }
}

function finishPlain(reader: Reader, value: string, folded: boolean, start: number, end: number): Node {
  const span = { file: reader.file, start, end };
  if (folded) return scalar(value, span);
  const resolved = resolvePlain(value);
  return scalar(resolved.value, span, resolved.float);
}

function skipped(source: string, at: number): number {
  while (source.charCodeAt(at) === space) at++;
  return at;
}

/** The end of the plain text on this line; a `: ` inside it is an error, for the library to report. */
function plainEnd(reader: Reader, start: number): number {
  const source = reader.text;
  let at = start;
  let end = start;
  for (; ; at++) {
    const code = source.charCodeAt(at);
    if (code === 10 || Number.isNaN(code)) return end;
    if (code === 9) throw declined;
    if (code === colon && isBreak(source.charCodeAt(at + 1))) throw declined;
    if (code === hash && at > start && source.charCodeAt(at - 1) === space) return end;
    if (code !== space) end = at + 1;
  }
}

/** Whether a `key:` begins here. Only simple keys on one line. */
function startsKey(reader: Reader, start: number): boolean {
  const source = reader.text;
  const first = source.charCodeAt(start);
  if (first === 34 || first === 39) {
    const saved = reader.at;
    reader.at = start;
    if (first === 34) readDouble(reader);
    else readSingle(reader);
    const after = skipped(source, reader.at);
    reader.at = saved;
    return source.charCodeAt(after) === colon && isBreak(source.charCodeAt(after + 1));
  }
  if (notPlain.has(first) && !((first === dash || first === colon) && !isBreak(source.charCodeAt(start + 1)))) {
    if (first === 63 && !isBreak(source.charCodeAt(start + 1))) throw declined;
    if (first === 38 || first === 33 || first === 42) throwIfKey(source, start);
    return false;
  }
  for (let at = start; ; at++) {
    const code = source.charCodeAt(at);
    if (code === 10 || Number.isNaN(code)) return false;
    if (code === colon && isBreak(source.charCodeAt(at + 1))) {
      reader.colon = at;
      return true;
    }
    if (code === hash && at > start && source.charCodeAt(at - 1) === space) return false;
  }
}

/** An anchor, tag or alias before a key on the same line: the library's business. */
function throwIfKey(source: string, start: number): void {
  const end = source.indexOf("\n", start);
  if (/:(?: |$)/.test(source.slice(start, end === -1 ? undefined : end))) throw declined;
}

function readKey(reader: Reader): string {
  const first = text(reader);
  if (first === 34) return readDouble(reader);
  if (first === 39) return readSingle(reader);
  const source = reader.text;
  const start = reader.at;
  // `startsKey` has just been here.
  let end = reader.colon;
  while (source.charCodeAt(end - 1) === space) end--;
  reader.at = end;
  const key = source.slice(start, end);
  if (key.includes("\t") || typeof resolvePlain(key).value !== "string") throw declined;
  return key;
}

function empty(reader: Reader): Node {
  return scalar(null, { file: reader.file, start: reader.at, end: reader.at });
}
