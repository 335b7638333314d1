/** Docker's config file with its credential helpers: for who asks as a client, and for the engine's own mirrors. Secrets go to
 *  helpers through stdin, and never into messages. Source: docker/cli config file; docker-credential-helpers protocol. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { RegistryCredentials } from "../../types.ts";
import { isObject, type JsonObject } from "../json.ts";
import { assertHelperName, runHelper } from "./credential-helper.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Docker Hub's entry has the address of its first API. */
export const dockerHubKey = "https://index.docker.io/v1/";

/** True when there is something to log in with. */
export function hasCredentials(credentials: RegistryCredentials | undefined): boolean {
  const { username, identitytoken, registrytoken } = credentials ?? {};
  return [username, identitytoken, registrytoken].some((value) => value !== undefined && value !== "");
}

/** Credentials for a registry host from docker's config file; undefined: none. A file or helper that does not work is no error:
 *  most images need no login, and the registry's refusal will say that it does.
 *  @param domain `docker.io` or a host with port */
export async function credentialsFromConfig(
  domain: string,
  env: Environment,
): Promise<RegistryCredentials | undefined> {
  const config = readDockerConfig(env);
  if (config === undefined) return undefined;
  const keys = configKeys(domain);
  const helper = helperFor(config, domain);
  if (helper !== undefined) {
    const found = await askHelper(helper, domain === "docker.io" ? dockerHubKey : domain, env);
    if (found !== undefined) return found;
  }
  const entry = pick(config["auths"], keys);
  return isObject(entry) ? decodeEntry(entry) : undefined;
}

/** Name of the credential helper that docker's configuration gives a registry; undefined: none. Pure. */
export function helperFor(config: JsonObject, domain: string): string | undefined {
  const helper = pick(config["credHelpers"], configKeys(domain)) ?? config["credsStore"];
  return typeof helper === "string" && helper !== "" ? helper : undefined;
}

function readDockerConfig(env: Environment): JsonObject | undefined {
  const dir = env["DOCKER_CONFIG"] ?? (env["HOME"] === undefined ? undefined : join(env["HOME"], ".docker"));
  if (dir === undefined) return undefined;
  try {
    const config: unknown = JSON.parse(readFileSync(join(dir, "config.json"), "utf8"));
    return isObject(config) ? config : undefined;
  } catch {
    return undefined;
  }
}

/** The spellings under which docker has stored a registry over the years. */
export function configKeys(domain: string): readonly string[] {
  const hosts = domain === "docker.io" ? ["index.docker.io", "docker.io", "registry-1.docker.io"] : [domain];
  const urls = hosts.flatMap((host) => [
    host,
    `https://${host}`,
    `https://${host}/`,
    `https://${host}/v1/`,
    `https://${host}/v2/`,
    `http://${host}`,
  ]);
  return [...(domain === "docker.io" ? [dockerHubKey] : []), ...urls];
}

function pick(map: unknown, keys: readonly string[]): unknown {
  if (!isObject(map)) return undefined;
  const key = keys.find((candidate) => Object.hasOwn(map, candidate));
  return key === undefined ? undefined : map[key];
}

/** `auth` is base64 of `user:password`; the other fields stand for themselves. Pure. */
export function decodeEntry(entry: JsonObject): RegistryCredentials | undefined {
  const field = (key: string): string | undefined =>
    typeof entry[key] === "string" && entry[key] !== "" ? entry[key] : undefined;
  const [identitytoken, registrytoken] = [field("identitytoken"), field("registrytoken")];
  const auth = field("auth");
  const decoded = auth === undefined ? undefined : Buffer.from(auth, "base64").toString("utf8").replace(/\0+$/, "");
  const colon = decoded?.indexOf(":") ?? -1;
  const username = decoded !== undefined && colon > 0 ? decoded.slice(0, colon) : field("username");
  const password = decoded !== undefined && colon > 0 ? decoded.slice(colon + 1) : field("password");
  const found: RegistryCredentials = {
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(identitytoken === undefined ? {} : { identitytoken }),
    ...(registrytoken === undefined ? {} : { registrytoken }),
  };
  return hasCredentials(found) ? found : undefined;
}

async function askHelper(name: string, server: string, env: Environment): Promise<RegistryCredentials | undefined> {
  assertHelperName(name);
  try {
    const answer: unknown = JSON.parse(await runHelper(name, "get", { input: server, env }));
    if (!isObject(answer)) return undefined;
    const { Username, Secret } = answer;
    if (typeof Username !== "string" || typeof Secret !== "string") return undefined;
    return Username === "<token>" ? { identitytoken: Secret } : { username: Username, password: Secret };
  } catch {
    return undefined;
  }
}
