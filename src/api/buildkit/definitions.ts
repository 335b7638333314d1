/** Results as graphs of operations (LLB), which clients hand from one build to the next without looking inside: ours have one operation, an
 *  image of this engine. Others are not executed. Source: BuildKit solver/pb/ops.proto, client/llb/definition.go. */
import { createHash } from "node:crypto";
import { operation } from "./messages.ts";
import type { Definition } from "./messages.ts";

const scheme = "tscompose-image://";

export function definitionOf(imageId: string): Definition {
  const source = operation.encode({ source: { identifier: `${scheme}${imageId}` } });
  const digest = `sha256:${createHash("sha256").update(source).digest("hex")}`;
  return { operations: [source, operation.encode({ inputs: [{ digest }] })], metadata: new Map([[digest, {}]]) };
}

/** Undefined: it is no result of this engine. @throws request/invalid */
export function imageOf(given: Definition | undefined): string | undefined {
  const sources = (given?.operations ?? []).flatMap((bytes) => operation.decode(bytes).source?.identifier ?? []);
  const [only] = sources;
  if (sources.length !== 1 || only?.startsWith(scheme) !== true) return undefined;
  const id = only.slice(scheme.length);
  return /^sha256:[0-9a-f]{64}$/.test(id) ? id : undefined;
}

/** Whether there is anything to execute. */
export function isEmpty(given: Definition | undefined): boolean {
  return given === undefined || (given.operations ?? []).length === 0;
}
