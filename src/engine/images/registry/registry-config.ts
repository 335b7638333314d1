/** How registries are reached: mirrors, insecure ones, further certificates, token servers. From `<data root>/registries.json` and
 *  TSCOMPOSE_REGISTRY_MIRRORS (`host=url` or a plain URL for docker.io, separated by commas), TSCOMPOSE_INSECURE_REGISTRIES (hosts,
 *  separated by commas) and TSCOMPOSE_CERTS_DIR (a folder in place of /etc/docker/certs.d). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, errnoOf, TscomposeError } from "../../../errors.ts";
import { isObject } from "../json.ts";

export interface RegistryConfig {
  /** Registry host -> base URLs to ask first, in order. */
  readonly mirrors: ReadonlyMap<string, readonly string[]>;
  /** Hosts (with port) that may be without TLS or with a certificate nobody knows. */
  readonly insecure: ReadonlySet<string>;
  /** Registry host -> hosts that may get its credentials, beside those of the same domain. */
  readonly tokenHosts: ReadonlyMap<string, readonly string[]>;
  /** Folders with what `hostCertificates` reads. */
  readonly certificateDirs: readonly string[];
  /** PEM of what this machine trusts beside Node's own list; undefined: nothing. */
  readonly systemCertificates: string | undefined;
}

const fileName = "registries.json";

/** @throws request/invalid for a file that is there but cannot be understood: guessing could send a password to the wrong host */
export function readRegistryConfig(
  dataRoot: string,
  env: Readonly<Record<string, string | undefined>>,
): RegistryConfig {
  const path = join(dataRoot, fileName);
  let content: string | undefined;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    if (errnoOf(error) !== "ENOENT") throw error;
  }
  const own = env["TSCOMPOSE_CERTS_DIR"];
  const certificateDirs = [join(dataRoot, "certs.d"), own === undefined || own === "" ? "/etc/docker/certs.d" : own];
  const machine = { certificateDirs, systemCertificates: readSystemCertificates(env) };
  try {
    const parsed = parseRegistryConfig(content ?? "{}", env["TSCOMPOSE_REGISTRY_MIRRORS"] ?? "");
    const more = (env["TSCOMPOSE_INSECURE_REGISTRIES"] ?? "").split(",").flatMap((host) => host.trim() || []);
    return { ...parsed, insecure: new Set([...parsed.insecure, ...more]), ...machine };
  } catch (error) {
    throw new TscomposeError("request/invalid", `${path}: ${errorMessage(error)}`, {
      hint: 'it looks like {"mirrors": {"docker.io": ["https://mirror.example"]}, "insecure": ["registry.lan:5000"]}',
      cause: error,
    });
  }
}

const systemBundle = "/etc/ssl/certs/ca-certificates.crt";

/** SSL_CERT_FILE as for OpenSSL's and Go's programs, else what the administrator of a Debian machine put into its bundle. */
function readSystemCertificates(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const named = env["SSL_CERT_FILE"];
  try {
    return readFileSync(named === undefined || named === "" ? systemBundle : named, "utf8");
  } catch (error) {
    if (named === undefined || named === "") return undefined;
    throw new TscomposeError("request/invalid", `SSL_CERT_FILE cannot be read: ${errorMessage(error)}`, {
      hint: "correct the variable in the engine's environment, or take it away",
      cause: error,
    });
  }
}

/** Pure. */
export function parseRegistryConfig(
  content: string,
  mirrorList: string,
): Omit<RegistryConfig, "certificateDirs" | "systemCertificates"> {
  const document: unknown = JSON.parse(content);
  if (!isObject(document)) throw new Error("is not a JSON object");
  const unknown = Object.keys(document).find((key) => !["mirrors", "insecure", "tokenHosts"].includes(key));
  if (unknown !== undefined) throw new Error(`has the unknown key ${JSON.stringify(unknown)}`);
  const mirrors = new Map(listMap(document["mirrors"], "mirrors"));
  for (const [host, url] of mirrorList.split(",").flatMap(parseMirror)) {
    mirrors.set(host, [url, ...(mirrors.get(host) ?? [])]);
  }
  for (const url of [...mirrors.values()].flat()) assertMirrorUrl(url);
  return {
    mirrors,
    insecure: new Set(textList(document["insecure"], "insecure")),
    tokenHosts: new Map(listMap(document["tokenHosts"], "tokenHosts")),
  };
}

function parseMirror(item: string): readonly (readonly [string, string])[] {
  const text = item.trim();
  if (text === "") return [];
  const equals = text.indexOf("=");
  return equals < 0 ? [["docker.io", text]] : [[text.slice(0, equals), text.slice(equals + 1)]];
}

function assertMirrorUrl(url: string): void {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol) || parsed.username !== "") {
    throw new Error(`has a mirror that is no http(s) URL: ${JSON.stringify(url)}`);
  }
}

function listMap(value: unknown, key: string): readonly (readonly [string, readonly string[]])[] {
  if (value === undefined) return [];
  if (!isObject(value)) throw new Error(`${key} is not an object`);
  return Object.entries(value).map(([host, list]) => [host, textList(list, `${key}.${host}`)] as const);
}

function textList(value: unknown, key: string): readonly string[] {
  if (value === undefined) return [];
  if (Array.isArray(value) && value.every((item): item is string => typeof item === "string")) return value;
  throw new Error(`${key} is not a list of names`);
}
