/** `POST /auth`: whether a registry accepts credentials. Asks for `/v2/`, which every registry guards as it guards the rest.
 *  Source: distribution specification, "API version check"; moby daemon/pkg/registry. */
import { TscomposeError } from "../../../errors.ts";
import type { RegistryCredentials } from "../../types.ts";
import type { RegistryAccess } from "../pull.ts";
import { registryEndpoint } from "./endpoint.ts";
import { RegistrySession } from "./session.ts";

export interface LoginResult {
  readonly Status: string;
  readonly IdentityToken: string;
}

/** @throws image/pull-denied (status 401), registry/unreachable, registry/failed, request/invalid */
export async function logIn(
  access: RegistryAccess,
  credentials: RegistryCredentials,
  signal: AbortSignal,
): Promise<LoginResult> {
  const endpoint = registryEndpoint(registryDomain(credentials.serveraddress), access.config);
  const session = new RegistrySession({ endpoint, connections: access.connections, credentials, scopes: [], signal });
  const answer = await session.request({ method: "GET", path: "v2/" });
  answer.destroy();
  if (answer.statusCode === 200) return { Status: "Login Succeeded", IdentityToken: "" };
  const url = new URL("v2/", await session.base());
  const status = `${answer.statusCode} ${answer.statusMessage ?? ""}`.trim();
  const denied = answer.statusCode === 401 || answer.statusCode === 403;
  throw new TscomposeError(
    denied ? "image/pull-denied" : "registry/failed",
    `login attempt to ${url.href} failed with status: ${status}`,
    denied ? { hint: "check the user name and the password", details: { httpStatus: 401 } } : {},
  );
}

/** The registry that a server address means: `https://index.docker.io/v1/` and none are Docker Hub. Pure.
 *  @throws request/invalid */
export function registryDomain(address: string | undefined): string {
  const text = (address ?? "").trim();
  const host = text.replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  if (host === "" || host === "index.docker.io" || host === "docker.io" || host === "registry-1.docker.io") {
    return "docker.io";
  }
  if (!/^[A-Za-z0-9._-]+(:\d+)?$|^\[[0-9a-fA-F:]+\](:\d+)?$/.test(host)) {
    throw new TscomposeError("request/invalid", `not a registry: ${JSON.stringify(text.slice(0, 200))}`);
  }
  return host;
}
