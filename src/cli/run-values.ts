import { isAbsolute, resolve } from "node:path";

import { TscomposeError } from "../errors.ts";
import type { Mount, Port } from "../spec/model.ts";

/** `[address:][host:]container[/protocol]`, ranges of equal length allowed. @throws compose/usage */
export function parsePublish(text: string): readonly Port[] {
  const [, address, published, target, protocol = "tcp"] =
    /^(?:(?:(\[[0-9a-fA-F:.]+\]|[0-9.]+):)?([0-9]*(?:-[0-9]+)?):)?([0-9]+(?:-[0-9]+)?)(?:\/(tcp|udp|sctp))?$/.exec(
      text,
    ) ?? [];
  if (target === undefined) {
    throw new TscomposeError("compose/usage", `port "${text}" is not understood`, {
      hint: "write [address:][host:]container[/protocol]",
    });
  }
  const inside = range(target);
  const outside = published === undefined || published === "" ? undefined : range(published);
  if (outside !== undefined && outside.length !== inside.length) {
    throw new TscomposeError("compose/usage", `port "${text}": the ranges differ in length`);
  }
  return inside.map((port, index) => ({
    target: port,
    protocol,
    ...(outside === undefined ? {} : { published: String(outside[index]) }),
    ...(address === undefined ? {} : { host_ip: address.replace(/^\[|\]$/g, "") }),
  }));
}

function range(text: string): readonly number[] {
  const [first = 0, last = first] = text.split("-").map(Number);
  if (last < first || last > 65_535) throw new TscomposeError("compose/usage", `"${text}" is not a range of ports`);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

/** `[source:]target[:options]`. A source that is a path is a folder of the host, relative to `cwd`. @throws compose/usage */
export function parseVolume(text: string, cwd: string): Mount {
  const parts = text.split(":");
  if (parts.length > 3 || parts.some((part) => part === "")) {
    throw new TscomposeError("compose/usage", `volume "${text}" is not understood`, {
      hint: "write source:target or source:target:ro",
    });
  }
  const [first = "", second, options = ""] = parts;
  const readOnly = options.split(",").includes("ro") ? { read_only: true } : {};
  if (second === undefined) return { type: "volume", target: first };
  if (/^[./~]/.test(first)) {
    const source = isAbsolute(first) ? first : resolve(cwd, first.replace(/^~(?=\/|$)/, process.env["HOME"] ?? "~"));
    return { type: "bind", source, target: second, ...readOnly };
  }
  return { type: "volume", source: first, target: second, ...readOnly };
}

/** Words as a POSIX shell splits them: quotes and backslashes, nothing else. @throws compose/usage for an open quote. */
export function splitWords(text: string): readonly string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote: string | undefined;
  for (let index = 0; index < text.length; index += 1) {
    const character = text[index] ?? "";
    if (quote === "'") {
      if (character === "'") quote = undefined;
      else word += character;
    } else if (character === "\\" && (quote === undefined || /["\\$`]/.test(text[index + 1] ?? ""))) {
      index += 1;
      word = (word ?? "") + (text[index] ?? "");
    } else if (quote === '"') {
      if (character === '"') quote = undefined;
      else word += character;
    } else if (character === "'" || character === '"') {
      quote = character;
      word ??= "";
    } else if (/\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else word = (word ?? "") + character;
  }
  if (quote !== undefined) throw new TscomposeError("compose/usage", `"${text}" has an open quote`);
  return word === undefined ? words : [...words, word];
}
