import { declined } from "./fast-scalars.ts";
import type { Cursor } from "./fast-scalars.ts";
import type { Node } from "../tree.ts";

/** What the block and the flow half of the fast reader share. */
export interface Reader extends Cursor {
  readonly anchors: Map<string, Node>;
  readonly maxNodes: number;
  nodes: number;
  depth: number;
  /** Column of the content that `nextContent` found, and where its line begins. */
  column: number;
  /** Of the key that `startsKey` found last. */
  colon: number;
}

export const maxDepth = 100;
export const dash = 45;
export const colon = 58;
export const hash = 35;
export const space = 32;

export function enter(reader: Reader): void {
  if (++reader.depth > maxDepth) throw declined;
}

export function count(reader: Reader, size: number): void {
  reader.nodes += size;
  if (reader.nodes > reader.maxNodes) throw declined;
}

/** The code of the character in hand; NaN at the end. */
export function text(reader: Reader): number {
  return reader.text.charCodeAt(reader.at);
}

/** Characters that cannot begin plain text: indicators, and what only the library should judge. */
export const notPlain = new Set(Array.from("?:-,[]{}#&*!|>'\"%@`", (character) => character.charCodeAt(0)));
