/** Pure: method and path of a request -> route and parameters. */
import { apiVersion, minApiVersion, routes } from "./routes.ts";
import type { Route, RouteName } from "./routes.ts";

export interface RouteMatch {
  readonly name: RouteName;
  readonly parameters: Readonly<Record<string, string>>;
}
export interface RequestPath {
  /** Without the version prefix, percent-encoded as it came. */
  readonly path: string;
  /** The minor number of the API version asked for (51 for 1.51); without a prefix the newest. */
  readonly minor: number;
}
/** `error`: what Docker answers a version it does not speak with. */
export type PathResult = RequestPath | { readonly error: string };

const [, newest = 0] = apiVersion.split(".").map(Number);
const [, oldest = 0] = minApiVersion.split(".").map(Number);

/** Takes `/v1.43` off. */
export function splitVersion(path: string): PathResult {
  const match = /^\/v(\d{1,3})(?:\.(\d{1,4}))?(\/.*)$/.exec(path);
  if (match === null) return { path, minor: newest };
  const [, major = "", minorText = "0", rest = ""] = match;
  const [asked, minor] = [`${major}.${minorText}`, Number(minorText)];
  if (Number(major) > 1 || (Number(major) === 1 && minor > newest)) {
    return { error: `client version ${asked} is too new. Maximum supported API version is ${apiVersion}` };
  }
  if (Number(major) < 1 || minor < oldest) {
    const advice = "please upgrade your client to a newer version";
    return {
      error: `client version ${asked} is too old. Minimum supported API version is ${minApiVersion}, ${advice}`,
    };
  }
  return { path: rest, minor };
}

interface Pattern {
  readonly name: RouteName;
  readonly expression: RegExp;
  readonly keys: readonly string[];
}

const patterns = compile();

function compile(): ReadonlyMap<string, readonly Pattern[]> {
  const byMethod = new Map<string, Pattern[]>();
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    const keys: string[] = [];
    const source = route.path.replace(/\{(\w+)(\*?)\}/g, (_all, key: string, star: string) => {
      keys.push(key);
      return star === "*" ? "(.+)" : "([^/]+)";
    });
    const pattern = { name, keys, expression: new RegExp(`^${source}/?$`) };
    byMethod.set(route.method, [...(byMethod.get(route.method) ?? []), pattern]);
  }
  return byMethod;
}

/** Undefined: no such page, which includes a known path with another method. */
export function matchRoute(method: string, path: string): RouteMatch | undefined {
  for (const { name, keys, expression } of patterns.get(method) ?? []) {
    const match = expression.exec(path);
    if (match === null) continue;
    const values = match.slice(1).map(decode);
    if (values.includes(undefined)) return undefined;
    return { name, parameters: Object.fromEntries(keys.map((key, index) => [key, values[index] ?? ""])) };
  }
  return undefined;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
