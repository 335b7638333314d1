/** `build.cache_from` and `cache_to`: `type=registry,ref=app:cache` and the like, or the name of an image. Pure. Source: Docker's manual,
 *  "Cache storage backends"; buildx `--cache-from`, `--cache-to`. */
import { TscomposeError } from "../../../errors.ts";
import { parseReference, withDefaultTag, type Reference } from "../../images/reference.ts";
import { csvFields } from "../dockerfile/csv-fields.ts";
import type { CacheText, LocalFolder } from "../types.ts";

export type CacheImport =
  | { readonly kind: "registry"; readonly reference: Reference }
  /** `name`: a tag or digest of the folder's index. */
  | { readonly kind: "local"; readonly folder: LocalFolder; readonly name: string };

export type CacheForm = "manifest" | "index";

export type CacheExport =
  /** With the configuration of the image. */
  | { readonly kind: "inline" }
  | ({ readonly kind: "registry"; readonly reference: Reference } & ExportOptions)
  | ({ readonly kind: "local"; readonly folder: LocalFolder; readonly tag: string } & ExportOptions);

export interface ExportOptions {
  /** `min`: the steps that the image is made of; `max`: those of all stages. */
  readonly mode: "min" | "max";
  readonly form: CacheForm;
  /** A failure does not fail the build. */
  readonly ignoreError: boolean;
}

const possible = "use type=registry, type=local or type=inline";

function refuse(what: string, hint: string): TscomposeError {
  return new TscomposeError("request/unsupported", what, { hint });
}

interface Attributes {
  readonly type: string;
  readonly values: ReadonlyMap<string, string>;
}

function attributesOf(text: string, name: string): Attributes {
  const values = new Map<string, string>();
  const fields = csvFields(text);
  if (fields.length === 1 && !text.includes("=")) return { type: "registry", values: new Map([["ref", text]]) };
  for (const field of fields) {
    const at = field.indexOf("=");
    if (at < 0)
      throw new TscomposeError("request/invalid", `${name} ${text}: ${field} is no key=value`, { hint: possible });
    values.set(field.slice(0, at).trim().toLowerCase(), field.slice(at + 1));
  }
  const type = values.get("type") ?? "";
  values.delete("type");
  if (type === "")
    throw new TscomposeError("request/invalid", `${name} ${text} names no type`, { hint: `${possible}, or an image` });
  return { type, values };
}

function unknownType(name: string, type: string): TscomposeError {
  return refuse(`${name}: cache type ${type} is not supported by this engine`, possible);
}

/** @throws request/unsupported naming the first of `values` that is not known */
function onlyThese(name: string, { type, values }: Attributes, known: readonly string[]): void {
  const strange = [...values.keys()].find((key) => !known.includes(key));
  if (strange === undefined) return;
  throw refuse(
    `${name}: type=${type} with ${strange}=${values.get(strange) ?? ""} is not supported by this engine`,
    known.length === 0 ? "leave it out" : `leave it out, or use ${known.join(", ")}`,
  );
}

function referenceOf(name: string, { type, values }: Attributes): Reference {
  const ref = values.get("ref") ?? "";
  if (ref === "")
    throw new TscomposeError("request/invalid", `${name}: type=${type} has no ref`, { hint: "write ref=NAME:TAG" });
  return withDefaultTag(parseReference(ref));
}

function folderOf(name: string, given: CacheText, key: "src" | "dest"): LocalFolder {
  if (given.folder !== undefined) return given.folder;
  throw refuse(`${name} ${given.text}: the engine does not see the folder`, `${key}= is for an engine on this machine`);
}

/** @throws request/unsupported, request/invalid */
export function parseCacheImport(given: CacheText): CacheImport {
  const name = "cache_from";
  const attributes = attributesOf(given.text, name);
  switch (attributes.type) {
    case "registry":
      onlyThese(name, attributes, ["ref"]);
      return { kind: "registry", reference: referenceOf(name, attributes) };
    case "local": {
      onlyThese(name, attributes, ["src", "tag", "digest"]);
      const { values } = attributes;
      const wanted = values.get("digest") ?? values.get("tag") ?? "latest";
      return { kind: "local", folder: folderOf(name, given, "src"), name: wanted };
    }
    case "inline":
      throw refuse(`${name}: type=inline has no place to read from`, "name the image: type=registry,ref=NAME:TAG");
    default:
      throw unknownType(name, attributes.type);
  }
}

function flag(name: string, { values }: Attributes, key: string, fallback: boolean): boolean {
  const value = values.get(key);
  if (value === undefined) return fallback;
  if (/^(?:1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw new TscomposeError("request/invalid", `${name}: ${key}=${value} is neither true nor false`);
}

const exportKeys = ["mode", "image-manifest", "oci-mediatypes", "compression", "force-compression", "ignore-error"];

function exportOptions(name: string, attributes: Attributes): ExportOptions {
  const { type, values } = attributes;
  const mode = values.get("mode") ?? "min";
  if (mode !== "min" && mode !== "max")
    throw new TscomposeError("request/invalid", `${name}: mode=${mode} is neither min nor max`);
  const compression = values.get("compression") ?? "gzip";
  if (compression !== "gzip")
    throw refuse(`${name}: type=${type} with compression=${compression} is not supported by this engine`, "use gzip");
  if (flag(name, attributes, "force-compression", false))
    throw refuse(`${name}: force-compression is not supported by this engine`, "layers keep the form they came in");
  if (!flag(name, attributes, "oci-mediatypes", true))
    throw refuse(`${name}: oci-mediatypes=false is not supported by this engine`, "leave it out");
  return {
    mode,
    form: flag(name, attributes, "image-manifest", true) ? "manifest" : "index",
    ignoreError: flag(name, attributes, "ignore-error", false),
  };
}

/** @throws request/unsupported, request/invalid */
export function parseCacheExport(given: CacheText): CacheExport {
  const name = "cache_to";
  const attributes = attributesOf(given.text, name);
  switch (attributes.type) {
    case "inline": {
      const mode = attributes.values.get("mode") ?? "min";
      if (mode !== "min") throw refuse(`${name}: type=inline has mode min only`, "use type=registry for mode=max");
      onlyThese(name, attributes, ["mode"]);
      return { kind: "inline" };
    }
    case "registry":
      onlyThese(name, attributes, ["ref", ...exportKeys]);
      return {
        kind: "registry",
        reference: referenceOf(name, attributes),
        ...exportOptions(name, attributes),
      };
    case "local": {
      onlyThese(name, attributes, ["dest", "tag", ...exportKeys]);
      const tag = attributes.values.get("tag") ?? "latest";
      const folder = folderOf(name, given, "dest");
      return { kind: "local", folder, tag, ...exportOptions(name, attributes) };
    }
    default:
      throw unknownType(name, attributes.type);
  }
}
