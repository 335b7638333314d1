import { compareBytes } from "../compare.ts";
import type { SshKey, Ulimit } from "../model.ts";
import { formatScalar } from "../scalar.ts";
import { splitCommand } from "../shellwords.ts";
import type { Node } from "../tree.ts";
import { toPlain } from "../tree.ts";
import { formatDuration, parseDurationNs, readBytes } from "../units.ts";
import { dict, integer, list, makeDict, printed, refuse, string } from "./decode.ts";
import type { BindContext, Decoder } from "./decode.ts";

/** Decoders of the value forms that only compose files have. */

function isNothing(node: Node): boolean {
  return node.kind === "scalar" && node.value === null;
}

/** Bytes, as decimal text. A float, which Docker Compose passes over in silence, counts as nothing. */
export const bytes: Decoder<string> = (node, context) => {
  if (node.kind !== "scalar" || typeof node.value === "boolean") return refuse(node, context, "a size");
  if (node.value === null || node.float || typeof node.value === "bigint") return undefined;
  const value = typeof node.value === "number" ? BigInt(node.value) : readBytes(node.value);
  if (value === undefined) return refuse(node, context, "a size such as 512m or 2g");
  return value === 0n ? undefined : String(value);
};

export const duration: Decoder<string> = (node, context) => {
  if (isNothing(node)) return undefined;
  const text = node.kind === "scalar" ? formatScalar(node.value, node.float) : "";
  const value = parseDurationNs(text);
  return value === undefined ? refuse(node, context, "a duration such as 90s or 1m30s") : formatDuration(value);
};

/** For a duration that is left out when it is zero. */
export const nonzeroDuration: Decoder<string> = (node, context) => {
  const value = duration(node, context);
  return value === "0s" ? undefined : value;
};

export const strings: Decoder<string[]> = list(string);

export const command: Decoder<string[]> = (node, context) => {
  if (node.kind === "seq") return strings(node, context);
  if (isNothing(node)) return undefined;
  if (node.kind !== "scalar" || typeof node.value !== "string") return refuse(node, context, "text or a list of texts");
  const words = splitCommand(node.value);
  if (words !== undefined) return words;
  return refuse(node, context, "a command with balanced quotes and no bare brackets (use the list form for a shell)");
};

export const healthTest: Decoder<string[]> = (node, context) => {
  if (isNothing(node)) return undefined;
  return node.kind === "scalar" && typeof node.value === "string" ? ["CMD-SHELL", node.value] : strings(node, context);
};

/** `KEY=VALUE` items or a map; a key without a value gets "". */
export const labels: Decoder<Record<string, string>> = (node, context) => {
  if (node.kind !== "seq") return dict(printed, "")(node, context);
  return makeDict(
    node.items.map((item): [string, string] => {
      const text = itemText(item);
      const at = text.indexOf("=");
      return at === -1 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
    }),
  );
};

function itemText(item: Node): string {
  return item.kind === "scalar" ? formatScalar(item.value, item.float) : JSON.stringify(toPlain(item));
}

/** As `labels`, but a key without a value keeps none. */
export const environment: Decoder<Record<string, string | null>> = (node, context) => {
  if (node.kind !== "seq") return dict<string | null>(printedOrNull, null)(node, context);
  const pairs = new Map<string, string | null>();
  for (const item of node.items) {
    const text = itemText(item);
    const at = text.indexOf("=");
    const key = at === -1 ? text : text.slice(0, at);
    if (/\s$/.test(key)) {
      const expected = "NAME=VALUE without a space before the equals sign";
      const message = `${context.path.join(".")}: variable "${key}" ends in a space`;
      context.report.error({ code: "invalid-value", message, path: [...context.path], at: item, expected });
    }
    pairs.set(key, at === -1 ? null : text.slice(at + 1));
  }
  return makeDict(pairs);
};

const printedOrNull: Decoder<string | null> = (node, context) => printed(node, context);

export const options: Decoder<Record<string, string>> = dict(printed, "");
export const plainOptions: Decoder<Record<string, string>> = dict(string, "");

/** Provider options: each a list. */
export const multiOptions: Decoder<Record<string, string[]>> = dict<string[]>((node, context) => {
  if (node.kind !== "seq") return [printed(node, context) ?? ""];
  const values = list(printed)(node, context);
  return values?.length === 0 ? undefined : values;
});

/** `host=address`, sorted. */
export const hosts: Decoder<string[]> = (node, context) => {
  if (isNothing(node)) return undefined;
  const pairs: [string, string][] = [];
  if (node.kind === "seq") {
    for (const item of node.items) {
      const text = itemText(item);
      const at = text.includes("=") ? text.indexOf("=") : text.indexOf(":");
      if (at === -1) return refuse(item, context, "HOST=ADDRESS");
      for (const address of text.slice(at + 1).split(",")) pairs.push([text.slice(0, at), address]);
    }
  } else if (node.kind === "map") {
    for (const [host, entry] of node.entries) {
      const addresses = entry.value.kind === "seq" ? entry.value.items : [entry.value];
      for (const address of addresses) pairs.push([host, isNothing(address) ? "" : itemText(address)]);
    }
  } else return refuse(node, context, "a list or a map");
  // A host without addresses leaves an empty list behind; no host at all leaves nothing.
  if (node.kind === "seq" ? pairs.length === 0 : node.entries.size === 0) return undefined;
  if (pairs.some(([host]) => host === "" || /[:=]/.test(host)))
    return refuse(node, context, "host names without : or =");
  return pairs.map(([host, address]) => `${host}=${unbracketed(address)}`).sort(compareBytes);
};

function unbracketed(address: string): string {
  return address.length > 2 && address.startsWith("[") && address.endsWith("]") ? address.slice(1, -1) : address;
}

export const sshKeys: Decoder<SshKey[]> = (node, context) => {
  if (isNothing(node)) return undefined;
  if (node.kind !== "map") return refuse(node, context, "a list or a map");
  const keys = [...node.entries].map(([id, entry]): SshKey => {
    return { id, path: isNothing(entry.value) ? "" : itemText(entry.value) };
  });
  return keys.sort((a, b) => compareBytes(a.id, b.id));
};

export const ulimit: Decoder<Ulimit> = (node, context) => {
  if (node.kind === "scalar") {
    const single = integer(node, context);
    return single === 0 ? {} : single;
  }
  if (node.kind !== "map") return refuse(node, context, "an integer, or a map with soft and hard");
  const limits: { soft?: number; hard?: number } = {};
  for (const key of ["soft", "hard"] as const) {
    const value = node.entries.get(key)?.value;
    const number = value === undefined ? undefined : strictInteger(value, context);
    if (number !== undefined && number !== 0) limits[key] = number;
  }
  return limits;
};

/** Docker Compose takes no text here (it crashes where it was not cast). */
function strictInteger(node: Node, context: BindContext): number | undefined {
  const fits = node.kind === "scalar" && typeof node.value === "number" && !node.float;
  return fits ? Number(node.value) : refuse(node, context, "an integer");
}

export const deviceCount: Decoder<number> = (node, context) => {
  if (node.kind === "scalar" && typeof node.value === "string" && node.value.toLowerCase() === "all") return -1;
  if (node.kind === "scalar" && node.float) return refuse(node, context, "all, or an integer");
  return integer(node, context);
};

/** Octal text, or a number as YAML read it; printed octal. */
export const fileMode: Decoder<string> = (node, context) => {
  if (isNothing(node)) return undefined;
  if (node.kind === "scalar" && typeof node.value === "number" && !node.float) return `0${node.value.toString(8)}`;
  const text = node.kind === "scalar" && typeof node.value === "string" ? node.value : "";
  if (!/^[-+]?[0-7]+$/.test(text)) return refuse(node, context, "an octal mode such as 0440");
  return `0${Number.parseInt(text, 8).toString(8)}`;
};

/** A flag that is on unless switched off, and is then the only thing printed. */
export const optOut: Decoder<false> = (node, context) => {
  if (node.kind === "scalar" && node.value === false) return false;
  if (node.kind === "scalar" && (node.value === true || node.value === null)) return undefined;
  const text = node.kind === "scalar" && typeof node.value === "string" ? node.value.toLowerCase() : "";
  if (["true", "y", "yes", "on"].includes(text)) return undefined;
  return ["false", "n", "no", "off"].includes(text) ? false : refuse(node, context, "true or false");
};

export const portTarget: Decoder<number> = (node, context) => {
  const value = integer(node, context);
  return value !== undefined && (value < 0 || value > 4_294_967_295) ? refuse(node, context, "a port") : value;
};
