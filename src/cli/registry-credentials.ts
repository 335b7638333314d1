import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";

import type { Credentials } from "../compose/context.ts";
import { errnoOf, errorMessage, TscomposeError } from "../errors.ts";

/** Docker Hub's entry has the address of its first API. */
const hubAddresses = ["https://index.docker.io/v1/", "index.docker.io", "docker.io"];

/** What docker's configuration file (`$DOCKER_CONFIG/config.json`, `~/.docker/config.json`) holds for a registry; undefined where
 *  there is nothing. Credential helpers are programs and are not run. @throws request/invalid for a file that is not JSON. */
export async function registryCredentials(
  environment: Readonly<Record<string, string | undefined>>,
  registry: string,
): Promise<Credentials | undefined> {
  const path = join(environment["DOCKER_CONFIG"] ?? join(homedir(), ".docker"), "config.json");
  const auths = await readAuths(path);
  const names = registry === "docker.io" ? hubAddresses : [registry, `https://${registry}`, `http://${registry}`];
  const [name, entry] = names.map((one) => [one, auths[one]] as const).find(([, value]) => value !== undefined) ?? [];
  if (name === undefined || typeof entry !== "object" || entry === null) return undefined;
  const { auth, identitytoken, username, password } = entry as Readonly<Record<string, unknown>>;
  if (typeof identitytoken === "string" && identitytoken !== "") return { identitytoken, serveraddress: name };
  if (typeof username === "string" && typeof password === "string") return { username, password, serveraddress: name };
  if (typeof auth !== "string" || auth === "") return undefined;
  const decoded = Buffer.from(auth, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  if (colon < 0) return undefined;
  return { username: decoded.slice(0, colon), password: decoded.slice(colon + 1), serveraddress: name };
}

async function readAuths(path: string): Promise<Readonly<Record<string, unknown>>> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return {};
    throw error;
  }
  try {
    const config = JSON.parse(text) as { readonly auths?: unknown } | null;
    const auths = config?.auths;
    return typeof auths === "object" && auths !== null ? (auths as Readonly<Record<string, unknown>>) : {};
  } catch (error) {
    throw new TscomposeError("request/invalid", `${path} is not JSON: ${errorMessage(error)}`, {
      hint: "repair it, or point DOCKER_CONFIG at another folder",
      cause: error,
    });
  }
}
