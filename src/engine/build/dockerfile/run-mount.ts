/** `RUN --mount=...` and `RUN --device=...`. */
import { csvFields } from "./csv-fields.ts";
import { cut, goQuote } from "./go-text.ts";
import type { DeviceRequest } from "./instruction.ts";
import { errorMessage, isTscomposeError } from "../../../errors.ts";
import { problem } from "./problem.ts";
import { parseSizeBytes } from "./size.ts";
import { didYouMean } from "./suggest.ts";

export const mountTypes = ["bind", "cache", "tmpfs", "secret", "ssh"] as const;
export type MountType = (typeof mountTypes)[number];

export const sharingModes = ["shared", "private", "locked"] as const;
export type SharingMode = (typeof sharingModes)[number];

export interface RunMount {
  readonly type: MountType;
  /** Texts are empty where not given. */
  readonly from: string;
  readonly source: string;
  readonly target: string;
  readonly readonly: boolean;
  readonly sizeBytes: number | undefined;
  readonly id: string;
  readonly sharing: SharingMode | undefined;
  readonly required: boolean;
  /** The environment variable that gets a secret's value; "" asks for the default name. */
  readonly env: string | undefined;
  readonly mode: number | undefined;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

type Draft = { -readonly [K in keyof RunMount]: RunMount[K] } & { readonlyGiven: boolean };

const mountKeys = [
  "type",
  "from",
  "source",
  "target",
  "readonly",
  "id",
  "sharing",
  "required",
  "size",
  "mode",
  "uid",
  "gid",
  "src",
  "dst",
  "destination",
  "ro",
  "rw",
  "readwrite",
  "env",
];

function fieldsOf(text: string, what: "mounts" | "devices"): readonly string[] {
  try {
    return csvFields(text);
  } catch (error) {
    throw isTscomposeError(error) ? problem(`failed to parse csv ${what}: ${errorMessage(error)}`) : error;
  }
}

/** What can be said before variables are known: whether the fields are CSV, and that `from` has no variable.
 *  @throws build/invalid */
export function checkRunMount(text: string): void {
  for (const field of fieldsOf(text, "mounts")) {
    const { before, after } = cut(field, "=");
    const key = before.toLowerCase();
    if (key !== "from" || after === undefined) continue;
    const dollar = after.indexOf("$");
    if (dollar >= 0 && dollar !== after.length - 1)
      throw problem(`'${key}' doesn't support variable expansion, define alias stage instead`);
  }
}

/** Reads the value of one `--mount`; `expand` replaces variables in each value.
 *  @throws build/invalid */
export function parseRunMount(text: string, expand: (value: string) => string): RunMount {
  const draft: Draft = {
    type: "bind",
    from: "",
    source: "",
    target: "",
    readonly: false,
    readonlyGiven: false,
    sizeBytes: undefined,
    id: "",
    sharing: undefined,
    required: false,
    env: undefined,
    mode: undefined,
    uid: undefined,
    gid: undefined,
  };
  for (const field of fieldsOf(text, "mounts")) {
    const { before, after } = cut(field, "=");
    const key = before.toLowerCase();
    if (after === undefined) setBareField(draft, key, field);
    else setField(draft, key, { value: expand(after), field });
  }
  const { readonlyGiven, ...mount } = draft;
  const result: RunMount = readonlyGiven
    ? mount
    : { ...mount, readonly: mount.type !== "cache" && mount.type !== "tmpfs" };
  checkMount(result);
  return result;
}

function onlyFor(draft: Draft, key: string, types: readonly MountType[]): void {
  if (!types.includes(draft.type)) throw problem(`unexpected key '${key}' for mount type '${draft.type}'`);
}

function setReadonly(draft: Draft, value: boolean): void {
  draft.readonly = value;
  draft.readonlyGiven = true;
}

function setBareField(draft: Draft, key: string, field: string): void {
  switch (key) {
    case "readonly":
    case "ro":
      return setReadonly(draft, true);
    case "readwrite":
    case "rw":
      return setReadonly(draft, false);
    case "required":
      onlyFor(draft, key, ["secret", "ssh"]);
      draft.required = true;
      return;
    default:
      throw problem(`invalid field '${field}' must be a key=value pair`);
  }
}

/** Go's `strconv.ParseBool`. */
function parseBoolean(key: string, value: string): boolean {
  if (/^(?:1|t|T|true|TRUE|True)$/.test(value)) return true;
  if (/^(?:0|f|F|false|FALSE|False)$/.test(value)) return false;
  throw problem(`invalid value for ${key}: ${value}`);
}

function parseUnsigned(key: string, value: string, base: 8 | 10): number {
  const pattern = base === 8 ? /^[0-7]+$/ : /^[0-9]+$/;
  const number = pattern.test(value) ? Number.parseInt(value, base) : Number.NaN;
  if (Number.isNaN(number) || number > 0xffffffff) throw problem(`invalid value ${value} for ${key}`);
  return number;
}

function isOneOf<T extends string>(value: string, options: readonly T[]): value is T {
  return (options as readonly string[]).includes(value);
}

function setField(draft: Draft, key: string, given: { readonly value: string; readonly field: string }): void {
  const { value } = given;
  switch (key) {
    case "type":
    case "sharing":
      return setChoice(draft, key, value);
    case "from":
    case "id":
    case "env":
      draft[key] = value;
      return;
    case "source":
    case "src":
      draft.source = value;
      return;
    case "target":
    case "dst":
    case "destination":
      draft.target = value;
      return;
    case "readonly":
    case "ro":
      return setReadonly(draft, parseBoolean(key, value));
    case "readwrite":
    case "rw":
      return setReadonly(draft, !parseBoolean(key, value));
    case "required":
      onlyFor(draft, key, ["secret", "ssh"]);
      draft.required = parseBoolean(key, value);
      return;
    case "size": {
      onlyFor(draft, key, ["tmpfs"]);
      const size = parseSizeBytes(value);
      if (size === undefined) throw problem(`invalid value for ${key}: ${value}`);
      draft.sizeBytes = size;
      return;
    }
    case "mode":
      draft.mode = parseUnsigned(key, value, 8);
      return;
    case "uid":
    case "gid":
      draft[key] = parseUnsigned(key, value, 10);
      return;
    default:
      throw problem(`unexpected key '${key}' in '${given.field}'${didYouMean(key, mountKeys)}`);
  }
}

function setChoice(draft: Draft, key: "type" | "sharing", value: string): void {
  const lower = value.toLowerCase();
  if (key === "type") {
    if (!isOneOf(lower, mountTypes))
      throw problem(`unsupported mount type ${goQuote(value)}${didYouMean(value, mountTypes)}`);
    draft.type = lower;
    return;
  }
  if (!isOneOf(lower, sharingModes))
    throw problem(`unsupported sharing value ${goQuote(value)}${didYouMean(value, sharingModes)}`);
  draft.sharing = lower;
}

function checkMount(mount: RunMount): void {
  if (mount.type === "bind" || mount.type === "tmpfs") {
    for (const key of ["mode", "uid", "gid"] as const)
      if (mount[key] !== undefined) throw problem(`${key} not allowed for ${goQuote(mount.type)} type mounts`);
  }
  if (mount.type === "secret") {
    if (mount.from !== "") throw problem("secret mount should not have a from");
    if (mount.sharing !== undefined) throw problem("secret mount should not define sharing");
    if (mount.source === "" && mount.target === "" && mount.id === "")
      throw problem("invalid secret mount. one of source, target required");
    if (mount.source !== "" && mount.id !== "") throw problem("both source and id can't be set");
  }
  if (mount.sharing !== undefined && mount.type !== "cache")
    throw problem(`invalid cache sharing set for ${mount.type} mount`);
}

/** `--device=vendor/class=name,required`.
 *  @throws build/invalid */
export function parseDevice(text: string): DeviceRequest {
  let name = "";
  let required = false;
  for (const field of fieldsOf(text, "devices")) {
    const { before, after } = cut(field, "=");
    const key = before.toLowerCase();
    if (key === "required") required = after === undefined || parseBoolean(key, after);
    else if (key === "name" && after !== undefined) {
      if (name !== "") throw problem(`device name already set to ${name}`);
      name = after;
    } else if (name === "") name = field;
    else if (after === undefined) throw problem(`invalid field '${field}' must be a key=value pair`);
    else throw problem(`unexpected key '${key}' in '${field}'${didYouMean(key, ["name", "required"])}`);
  }
  return { name, required };
}
