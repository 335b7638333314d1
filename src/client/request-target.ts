/** Pure: a route and dockerode's flat options -> path, query, headers, body. */
import type { Route } from "../api/routes.ts";

export interface RequestTarget {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON text. */
  readonly body: string | undefined;
}

/** Options named by the route's query go there; the others into the body where the route has one, else nowhere. */
export function buildTarget(
  route: Route,
  parameters: Readonly<Record<string, string>>,
  options: Readonly<Record<string, unknown>>,
): RequestTarget {
  const query = new URLSearchParams();
  const body: Record<string, unknown> = {};
  const headers: Record<string, string> = {};
  for (const [key, value] of Object.entries(options)) {
    if (value === undefined || key === "abortSignal" || key === "onWarning") continue;
    if (key === "authconfig") headers["X-Registry-Auth"] = encodeCredentials(value);
    else if (key === "registryconfig") headers["X-Registry-Config"] = encodeCredentials(value);
    else if (key === "tscomposeBuild") headers["X-Tscompose-Build"] = encodeCredentials(value);
    else if (route.query.includes(key)) appendQuery(query, key, value);
    else body[key] = value;
  }
  const text = query.toString();
  return {
    path: fillPath(route.path, parameters) + (text === "" ? "" : `?${text}`),
    headers,
    body: route.body === "json" ? JSON.stringify(body) : undefined,
  };
}

function appendQuery(query: URLSearchParams, key: string, value: unknown): void {
  if (Array.isArray(value)) for (const item of value) query.append(key, String(item));
  else query.append(key, typeof value === "string" ? value : JSON.stringify(value));
}

/** Slashes of an image name stay slashes; everything else that is not a name is escaped. */
function fillPath(template: string, parameters: Readonly<Record<string, string>>): string {
  return template.replace(/\{(\w+)(\*?)\}/g, (_all, key: string, star: string) => {
    const value = parameters[key] ?? "";
    return star === "*" ? value.split("/").map(encodeURIComponent).join("/") : encodeURIComponent(value);
  });
}

/** base64url of the JSON, unless the caller has it already. */
function encodeCredentials(auth: unknown): string {
  if (typeof auth !== "object" || auth === null) return String(auth);
  if ("key" in auth && typeof auth.key === "string") return auth.key;
  if ("base64" in auth && typeof auth.base64 === "string") return auth.base64;
  return Buffer.from(JSON.stringify(auth)).toString("base64").replaceAll("+", "-").replaceAll("/", "_");
}
