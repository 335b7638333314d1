/** Pure: the parts of a build request that are JSON in a query or a header. */
import type { IncomingHttpHeaders } from "node:http";
import { TscomposeError } from "../errors.ts";
import { registryCredentials } from "./bodies.ts";
import { readShape } from "./shape.ts";
import type { RegistryCredentials, Ulimit } from "./wire.ts";

/** What Docker's query has no place for: base64url of JSON. */
export const buildOptionsHeader = "x-tscompose-build";

export interface OwnBuildOptions {
  /** The request is our own client's. */
  readonly given: boolean;
  readonly secrets: ReadonlyMap<string, Buffer>;
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

/** @throws request/invalid */
export function ownOptions(headers: IncomingHttpHeaders): OwnBuildOptions {
  const value = headerJson(headers, buildOptionsHeader);
  if (!isObject(value)) return { given: false, secrets: new Map(), allow: { networkHost: false, insecure: false } };
  const secrets = Object.entries(stringMap(value["secrets"], "secrets"));
  const given = value["allow"];
  const allow: readonly unknown[] = Array.isArray(given) ? given : [];
  return {
    given: true,
    secrets: new Map(secrets.map(([id, data]) => [id, Buffer.from(data, "base64")])),
    allow: { networkHost: allow.includes("network.host"), insecure: allow.includes("security.insecure") },
  };
}
