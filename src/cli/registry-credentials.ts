/** Docker's configuration file (`$DOCKER_CONFIG/config.json`, `~/.docker/config.json`) as `pull`, `push`, `login` and `logout` use
 *  it. Credentials go to the helper that it names, else into the file itself. Everything else in it stays. */
import { chmod, mkdir, readFile, realpath, rename, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

import type { Credentials } from "../compose/context.ts";
import { runHelper } from "../engine/images/registry/credential-helper.ts";
import { configKeys, credentialsFromConfig, dockerHubKey, helperFor } from "../engine/images/registry/credentials.ts";
import { errnoOf, errorMessage, TscomposeError } from "../errors.ts";

type Environment = Readonly<Record<string, string | undefined>>;
type DockerConfig = Readonly<Record<string, unknown>>;

/** What is known for a registry; undefined where there is nothing.
 *  @param registry `docker.io` or a host with port
 *  @throws request/invalid for a file that is not JSON */
export async function registryCredentials(
  environment: Environment,
  registry: string,
): Promise<Credentials | undefined> {
  await readConfig(configPath(environment));
  const home = environment["HOME"] ?? homedir();
  const found = await credentialsFromConfig(registry, { ...environment, HOME: home });
  return found === undefined ? undefined : { ...found, serveraddress: serverAddress(registry) };
}

const proxyKeys = {
  httpProxy: "HTTP_PROXY",
  httpsProxy: "HTTPS_PROXY",
  ftpProxy: "FTP_PROXY",
  noProxy: "NO_PROXY",
  allProxy: "ALL_PROXY",
} as const;

/** Build arguments for the proxies that the file names, in both cases of letters.
 *  @param host of the engine, as in DOCKER_HOST: `proxies` may have an entry for it beside `default` */
export async function proxyArguments(
  environment: Environment,
  host: string | undefined,
): Promise<Readonly<Record<string, string>>> {
  const { proxies } = await readConfig(configPath(environment));
  if (!isRecord(proxies)) return {};
  const chosen = proxies[host ?? ""] ?? proxies["default"];
  if (!isRecord(chosen)) return {};
  const named = Object.entries(proxyKeys).flatMap(([key, name]) => {
    const value = chosen[key];
    return typeof value === "string" && value !== "" ? [[name, value] as const] : [];
  });
  return Object.fromEntries(named.flatMap(([name, value]) => [[name, value] as const, [name.toLowerCase(), value]]));
}

/** Docker's configuration file with all that is known of registries, also what helpers keep, and nothing else of it.
 *  @throws request/invalid for a file that is not JSON */
export async function credentialFile(environment: Environment): Promise<string> {
  const config = await readConfig(configPath(environment));
  const helpers = config["credHelpers"];
  const named = [...Object.keys(authsOf(config)), ...Object.keys(isRecord(helpers) ? helpers : {})];
  const store = config["credsStore"];
  const listed = typeof store === "string" && store !== "" ? await listOf(store, environment) : [];
  const auths: Record<string, Readonly<Record<string, string>>> = {};
  for (const key of new Set([...named, ...listed])) {
    const host = key.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
    const found = await registryCredentials(environment, key === dockerHubKey ? "docker.io" : host);
    if (found === undefined) continue;
    const { username, password, identitytoken } = found;
    auths[key] = {
      ...(username === undefined ? {} : { auth: Buffer.from(`${username}:${password ?? ""}`).toString("base64") }),
      ...(identitytoken === undefined ? {} : { identitytoken }),
    };
  }
  return `${JSON.stringify({ auths }, undefined, "\t")}\n`;
}

/** Registries that a helper knows; none where it cannot tell. */
async function listOf(helper: string, environment: Environment): Promise<readonly string[]> {
  try {
    const known = JSON.parse(await runHelper(helper, "list", { input: "", env: environment })) as unknown;
    return isRecord(known) ? Object.keys(known) : [];
  } catch {
    return [];
  }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** How docker names a registry where credentials are kept. */
export function serverAddress(registry: string): string {
  return registry === "docker.io" ? dockerHubKey : registry;
}

export interface Login {
  readonly registry: string;
  readonly username: string;
  readonly password: string;
}

/** Keeps credentials for later. @returns the file that now holds the password in the clear; undefined: a helper has it
 *  @throws request/invalid, host/command-failed */
export async function storeCredentials(environment: Environment, login: Login): Promise<string | undefined> {
  const path = configPath(environment);
  const config = await readConfig(path);
  const server = serverAddress(login.registry);
  const helper = helperFor(config, login.registry);
  if (helper !== undefined) {
    const input = JSON.stringify({ ServerURL: server, Username: login.username, Secret: login.password });
    await withHelper(helper, () => runHelper(helper, "store", { input, env: environment }));
  }
  const auth = Buffer.from(`${login.username}:${login.password}`).toString("base64");
  const auths = { ...withoutKeys(config, login.registry), [server]: helper === undefined ? { auth } : {} };
  await writeConfig(path, { ...config, auths });
  return helper === undefined ? path : undefined;
}

/** @returns whether there was something to forget
 *  @throws request/invalid, host/command-failed */
export async function eraseCredentials(environment: Environment, registry: string): Promise<boolean> {
  const path = configPath(environment);
  const config = await readConfig(path);
  const helper = helperFor(config, registry);
  const known = configKeys(registry).some((key) => Object.hasOwn(authsOf(config), key));
  if (helper !== undefined) {
    const input = serverAddress(registry);
    await withHelper(helper, () => runHelper(helper, "erase", { input, env: environment }));
  }
  if (known) await writeConfig(path, { ...config, auths: withoutKeys(config, registry) });
  return known || helper !== undefined;
}

function configPath(environment: Environment): string {
  return join(environment["DOCKER_CONFIG"] ?? join(environment["HOME"] ?? homedir(), ".docker"), "config.json");
}

async function readConfig(path: string): Promise<DockerConfig> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return {};
    throw error;
  }
  try {
    const config = JSON.parse(text) as unknown;
    return typeof config === "object" && config !== null && !Array.isArray(config) ? (config as DockerConfig) : {};
  } catch (error) {
    // V8's message quotes the text, which holds passwords.
    const place = /position \d+/.exec(errorMessage(error))?.[0];
    throw new TscomposeError("request/invalid", `${path} is not JSON${place === undefined ? "" : ` (at ${place})`}`, {
      hint: "repair it, or point DOCKER_CONFIG at another folder",
    });
  }
}

/** Readable by its owner only. A link stays a link. */
async function writeConfig(path: string, config: DockerConfig): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const target = await realpath(path).catch(() => path);
  const temporary = `${target}.${process.pid}.tmp`;
  await writeFile(temporary, `${JSON.stringify(config, undefined, "\t")}\n`, { mode: 0o600, flag: "wx" });
  await chmod(temporary, 0o600);
  await rename(temporary, target);
}

function authsOf(config: DockerConfig): Readonly<Record<string, unknown>> {
  const auths = config["auths"];
  return typeof auths === "object" && auths !== null ? (auths as Readonly<Record<string, unknown>>) : {};
}

function withoutKeys(config: DockerConfig, registry: string): Readonly<Record<string, unknown>> {
  const doomed = new Set(configKeys(registry));
  return Object.fromEntries(Object.entries(authsOf(config)).filter(([key]) => !doomed.has(key)));
}

/** What a helper prints when it fails may hold what it was given: only its exit is told. */
async function withHelper(name: string, run: () => Promise<string>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof TscomposeError) || error.code !== "host/command-failed") throw error;
    const exit = error.details["exitCode"];
    const what = typeof exit === "number" ? `failed with exit code ${exit}` : "cannot be run";
    throw new TscomposeError("host/command-failed", `the credential helper docker-credential-${name} ${what}`, {
      hint: "run it by hand to see why, or take credsStore and credHelpers out of docker's config.json",
    });
  }
}
