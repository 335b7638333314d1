/** Tokens of a registry's token server. Pure but for the exchange, which is given. Source: distribution token and OAuth2
 *  specifications; security.md I-42, I-46. */
import type { IncomingMessage } from "node:http";
import { TscomposeError } from "../../../errors.ts";
import type { RegistryCredentials } from "../../types.ts";
import { parseObject } from "../json.ts";
import { isLoopbackHost, mayShareCredentials } from "./address-policy.ts";
import type { Challenge } from "./challenge.ts";
import { hasCredentials } from "./credentials.ts";
import { readAll } from "./http.ts";

export interface TokenRequest {
  readonly method: "GET" | "POST";
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | undefined;
}
export interface RealmPolicy {
  /** Without port. */
  readonly registryHost: string;
  /** Plain http is accepted from this registry, so from its token server too. */
  readonly insecure: boolean;
  readonly tokenHosts: readonly string[];
}

const maxRealm = 2048;
const maxAnswer = 1024 * 1024;

/** What to send to the token server.
 *  @throws registry/failed when the realm is no place to send it to */
export function tokenRequest(
  challenge: Extract<Challenge, { readonly scheme: "bearer" }>,
  scopes: readonly string[],
  who: { readonly credentials: RegistryCredentials | undefined; readonly policy: RealmPolicy },
): TokenRequest {
  const url = checkRealm(challenge.realm, who.policy);
  const { credentials } = who;
  if (hasCredentials(credentials)) assertMayKnow(url, who.policy);
  const wanted = scopes.length > 0 ? scopes : challenge.scope === undefined ? [] : [challenge.scope];
  if (credentials?.identitytoken !== undefined && credentials.identitytoken !== "") {
    const form = new URLSearchParams({
      grant_type: "refresh_token",
      service: challenge.service ?? "",
      scope: wanted.join(" "),
      client_id: "tscompose",
      refresh_token: credentials.identitytoken,
    });
    const headers = { "content-type": "application/x-www-form-urlencoded" };
    return { method: "POST", url, headers, body: Buffer.from(form.toString()) };
  }
  if (challenge.service !== undefined) url.searchParams.set("service", challenge.service);
  for (const scope of wanted) url.searchParams.append("scope", scope);
  const headers = hasCredentials(credentials) ? { authorization: basicHeader(credentials ?? {}) } : {};
  return { method: "GET", url, headers, body: undefined };
}

export function basicHeader({ username = "", password = "" }: RegistryCredentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}

function checkRealm(realm: string, policy: RealmPolicy): URL {
  const url = realm.length <= maxRealm && URL.canParse(realm) ? new URL(realm) : undefined;
  if (url === undefined || /[\r\n]/.test(realm) || url.username !== "" || !/^https?:$/.test(url.protocol)) {
    throw new TscomposeError("registry/failed", `registry ${policy.registryHost} names no usable token server`);
  }
  const plain =
    url.protocol === "http:" &&
    !(policy.insecure && (isLoopbackHost(url.hostname) || url.hostname === policy.registryHost));
  if (plain) {
    throw new TscomposeError(
      "registry/failed",
      `registry ${policy.registryHost} wants its token fetched without TLS from ${url.host}: refused`,
    );
  }
  return url;
}

function assertMayKnow(url: URL, policy: RealmPolicy): void {
  if (mayShareCredentials(policy.registryHost, url.hostname, policy.tokenHosts)) return;
  throw new TscomposeError(
    "registry/failed",
    `registry ${policy.registryHost} wants your credentials sent to ${url.hostname}, which is not of its domain: refused`,
    {
      hint: `if that is right, put {"tokenHosts": {"${policy.registryHost}": ["${url.hostname}"]}} into registries.json below the data root`,
    },
  );
}

export interface Token {
  readonly value: string;
  readonly expiresAtMs: number;
}

/** @throws image/pull-denied, registry/failed */
export async function readToken(answer: IncomingMessage, nowMs: number, signal: AbortSignal): Promise<Token> {
  const body = await readAll(answer, maxAnswer, signal);
  const status = answer.statusCode ?? 0;
  if (status === 401 || status === 403) {
    throw new TscomposeError("image/pull-denied", "the registry's token server did not accept the credentials", {
      hint: "log in again",
      details: { httpStatus: status === 401 ? 401 : 403 },
    });
  }
  if (status !== 200)
    throw new TscomposeError("registry/failed", `the registry's token server answered with status ${status}`);
  const document = parseObject(body, "answer of the registry's token server");
  const value = document["token"] ?? document["access_token"];
  if (typeof value !== "string" || value === "" || !/^[\x21-\x7e]+$/.test(value)) {
    throw new TscomposeError("registry/failed", "the registry's token server gave no token");
  }
  const expires = document["expires_in"];
  const seconds = typeof expires === "number" && expires > 0 ? Math.max(expires, 60) : 60;
  return { value, expiresAtMs: nowMs + (seconds - 10) * 1000 };
}
