/** Pure: the parts of a build request that are JSON in a query or a header. */
import type { IncomingHttpHeaders } from "node:http";
import { TscomposeError } from "../errors.ts";
import { registryCredentials } from "./bodies.ts";
import { readShape } from "./shape.ts";
import type { CacheText, LocalFolder, NamedSource } from "../engine/build/types.ts";
import type { RegistryCredentials, Ulimit } from "./wire.ts";

/** What Docker's query has no place for: base64url of JSON. */
export const buildOptionsHeader = "x-tscompose-build";

export interface OwnBuildOptions {
  /** It wants to hear of steps, not text. */
  readonly rich: boolean;
  readonly folder: LocalFolder | undefined;
  readonly namedContexts: Readonly<Record<string, NamedSource>>;
  readonly dockerfileText: string | undefined;
  readonly ignoreText: string | undefined;
  readonly secrets: ReadonlyMap<string, Buffer>;
  readonly ssh: ReadonlyMap<string, string>;
  /** Stages. */
  readonly noCacheFilter: readonly string[];
  readonly cacheFrom: readonly CacheText[];
  readonly cacheTo: readonly CacheText[];
  readonly check: boolean;
  readonly debug: boolean;
  readonly allow: { readonly networkHost: boolean; readonly insecure: boolean };
}

function invalid(what: string): TscomposeError {
  return new TscomposeError("request/invalid", `invalid value for ${what}: it is not the JSON that is expected`);
}

/** Undefined for absent, empty and `null`. @throws request/invalid */
export function jsonParameter(query: URLSearchParams, key: string): unknown {
  const text = query.get(key) ?? "";
  if (text === "") return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return value ?? undefined;
  } catch {
    throw invalid(key);
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Values that are null are left out: the client has the name but no value. @throws request/invalid */
export function stringMap(value: unknown, what: string): Readonly<Record<string, string>> {
  if (value === undefined) return {};
  if (!isObject(value)) throw invalid(what);
  const entries = Object.entries(value).flatMap(([key, item]): (readonly [string, string])[] => {
    if (item === null) return [];
    if (typeof item !== "string") throw invalid(what);
    return [[key, item]];
  });
  return Object.fromEntries(entries);
}

/** @throws request/invalid */
export function ulimitList(value: unknown): readonly Ulimit[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) throw invalid("ulimits");
  const items: readonly unknown[] = value;
  return items.map((item) => {
    if (!isObject(item)) throw invalid("ulimits");
    const { Name, Soft, Hard } = item;
    if (typeof Name !== "string" || typeof Soft !== "number" || typeof Hard !== "number") throw invalid("ulimits");
    return { Name, Soft, Hard };
  });
}

function headerJson(headers: IncomingHttpHeaders, name: string): unknown {
  const text = headers[name];
  if (typeof text !== "string" || text === "") return undefined;
  try {
    return JSON.parse(Buffer.from(text, "base64url").toString("utf8"));
  } catch {
    return undefined;
  }
}

/** `X-Registry-Config`: registry host -> credentials. What cannot be read counts for nothing, as in Docker. */
export function credentialsByHost(headers: IncomingHttpHeaders): Readonly<Record<string, RegistryCredentials>> {
  const value = headerJson(headers, "x-registry-config");
  if (!isObject(value)) return {};
  const entries = Object.entries(value).flatMap(([host, item]): (readonly [string, RegistryCredentials])[] => {
    try {
      return [[host, readShape(registryCredentials, item) as RegistryCredentials]];
    } catch {
      return [];
    }
  });
  return Object.fromEntries(entries);
}

function textOf(value: unknown, what: string): string | undefined {
  if (value === undefined || typeof value === "string") return value;
  throw invalid(what);
}

function textList(value: unknown, what: string): readonly string[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) throw invalid(what);
  return value as readonly string[];
}

function folderOf(value: unknown, what: string): LocalFolder {
  if (!isObject(value)) throw invalid(what);
  const { path, bootId, dev, ino } = value;
  if (typeof path !== "string" || !path.startsWith("/") || path.includes("\0")) throw invalid(what);
  if (typeof bootId !== "string" || typeof dev !== "string" || typeof ino !== "string") throw invalid(what);
  return { path, bootId, dev, ino };
}

function namedSource(value: unknown): NamedSource {
  if (!isObject(value)) throw invalid("contexts");
  const { kind, folder, url, reference } = value;
  if (kind === "folder") return { kind, folder: folderOf(folder, "contexts") };
  if (kind === "remote" && typeof url === "string") return { kind, url };
  if (kind === "image" && typeof reference === "string") return { kind, reference };
  throw invalid("contexts");
}

function namedSources(value: unknown): Readonly<Record<string, NamedSource>> {
  if (value === undefined) return {};
  if (!isObject(value)) throw invalid("contexts");
  return Object.fromEntries(Object.entries(value).map(([name, source]) => [name, namedSource(source)]));
}

function cacheTexts(value: unknown, what: string): readonly CacheText[] {
  if (value === undefined) return [];
  if (!Array.isArray(value)) throw invalid(what);
  return value.map((entry: unknown) => {
    if (!isObject(entry) || typeof entry["text"] !== "string") throw invalid(what);
    return {
      text: entry["text"],
      folder: entry["folder"] === undefined ? undefined : folderOf(entry["folder"], what),
    };
  });
}

/** `cachefrom`: a JSON list of images. @throws request/invalid */
export function cacheSources(query: URLSearchParams): readonly CacheText[] {
  const given = textList(jsonParameter(query, "cachefrom"), "cachefrom");
  return given.filter((text) => text !== "").map((text) => ({ text, folder: undefined }));
}

const foreign: OwnBuildOptions = {
  rich: false,
  folder: undefined,
  namedContexts: {},
  dockerfileText: undefined,
  ignoreText: undefined,
  secrets: new Map(),
  ssh: new Map(),
  noCacheFilter: [],
  cacheFrom: [],
  cacheTo: [],
  check: false,
  debug: false,
  allow: { networkHost: false, insecure: false },
};

/** @throws request/invalid */
export function ownOptions(headers: IncomingHttpHeaders): OwnBuildOptions {
  const value = headerJson(headers, buildOptionsHeader);
  if (!isObject(value)) return foreign;
  const secrets = Object.entries(stringMap(value["secrets"], "secrets"));
  const allow = textList(value["allow"], "allow");
  return {
    rich: value["rich"] === true,
    folder: value["folder"] === undefined ? undefined : folderOf(value["folder"], "folder"),
    namedContexts: namedSources(value["contexts"]),
    dockerfileText: textOf(value["dockerfileText"], "dockerfileText"),
    ignoreText: textOf(value["ignoreText"], "ignoreText"),
    secrets: new Map(secrets.map(([id, data]) => [id, Buffer.from(data, "base64")])),
    ssh: new Map(Object.entries(stringMap(value["ssh"], "ssh"))),
    noCacheFilter: textList(value["noCacheFilter"], "noCacheFilter"),
    cacheFrom: cacheTexts(value["cacheFrom"], "cacheFrom"),
    cacheTo: cacheTexts(value["cacheTo"], "cacheTo"),
    check: value["check"] === true,
    debug: value["debug"] === true,
    allow: { networkHost: allow.includes("network.host"), insecure: allow.includes("security.insecure") },
  };
}
