/** Pax extended headers: records `length key=value\n` -> what they override. Pure. Source: POSIX.1-2017 pax, "pax Extended
 *  Header"; SCHILY.xattr.* as star, GNU tar and Go write it. Sparse files (GNU.sparse.*) are refused: no layer needs them, and
 *  their maps are a way to exhaust memory (CVE-2025-58183). */
import { broken } from "./header.ts";
import type { TarTime } from "./entry.ts";

export interface PaxOverrides {
  readonly path?: Buffer;
  readonly linkPath?: Buffer;
  readonly size?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: TarTime;
  readonly xattrs?: ReadonlyMap<string, Buffer>;
}

const xattrPrefix = "SCHILY.xattr.";

/** A later record of a key wins; an empty value takes the override away.
 *  @throws image/invalid */
export function parsePax(content: Buffer): PaxOverrides {
  const found: { -readonly [K in keyof PaxOverrides]: PaxOverrides[K] } = {};
  const xattrs = new Map<string, Buffer>();
  for (const [key, value] of records(content)) {
    if (key.startsWith("GNU.sparse.")) throw broken("sparse files are not accepted");
    if (key.startsWith(xattrPrefix)) xattrs.set(key.slice(xattrPrefix.length), value);
    else override(found, key, value);
  }
  return xattrs.size === 0 ? found : { ...found, xattrs };
}

function override(found: { -readonly [K in keyof PaxOverrides]: PaxOverrides[K] }, key: string, value: Buffer): void {
  switch (key) {
    case "path":
      if (value.length === 0) delete found.path;
      else found.path = value;
      return;
    case "linkpath":
      if (value.length === 0) delete found.linkPath;
      else found.linkPath = value;
      return;
    case "size":
    case "uid":
    case "gid":
      if (value.length === 0) delete found[key];
      else found[key] = wholeNumber(key, value);
      return;
    case "mtime":
      if (value.length === 0) delete found.mtime;
      else found.mtime = parseTime(value.toString("latin1"));
      return;
    default:
      return; // atime, ctime, uname, comment, ...: not part of a layer
  }
}

function* records(content: Buffer): Generator<readonly [string, Buffer]> {
  let at = 0;
  while (at < content.length) {
    const space = content.indexOf(0x20, at);
    const digits = space < 0 ? "" : content.toString("latin1", at, space);
    if (!/^[1-9][0-9]{0,7}$/.test(digits)) throw broken("an extended header has no length");
    const end = at + Number(digits);
    const equals = content.indexOf(0x3d, space + 1);
    if (end > content.length || equals < 0 || equals >= end || content[end - 1] !== 0x0a) {
      throw broken("an extended header does not fit its length");
    }
    const key = content.toString("latin1", space + 1, equals);
    const value = content.subarray(equals + 1, end - 1);
    if (key !== "" && !key.startsWith(xattrPrefix) && value.includes(0)) throw broken("an extended header holds a NUL");
    yield [key, Buffer.from(value)];
    at = end;
  }
}

function wholeNumber(key: string, value: Buffer): number {
  const text = value.toString("latin1");
  const number = Number(text);
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(number))
    throw broken(`${key} in an extended header is no number`);
  return number;
}

/** `1700000000.123456789`, `-1.5`: seconds rounded down, so nanoseconds are never negative. */
export function parseTime(text: string): TarTime {
  const match = /^(-?)([0-9]+)(?:\.([0-9]*))?$/.exec(text);
  const whole = Number(match?.[2]);
  if (match === null || !Number.isSafeInteger(whole)) throw broken("a time in an extended header is no number");
  const nsec = Number((match[3] ?? "").slice(0, 9).padEnd(9, "0"));
  if (match[1] !== "-") return { sec: whole, nsec };
  return nsec === 0 ? { sec: -whole, nsec: 0 } : { sec: -whole - 1, nsec: 1_000_000_000 - nsec };
}
