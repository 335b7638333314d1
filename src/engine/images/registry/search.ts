/** `GET /images/search`: Docker Hub by its index, other registries by their catalogue, which small ones have and large ones refuse.
 *  Source: distribution specification, "Listing Repositories"; Docker Hub's v1 search. */
import type { IncomingMessage } from "node:http";
import { TscomposeError } from "../../../errors.ts";
import type { SearchRequest, SearchResult } from "../../engine.ts";
import { isObject, parseObject } from "../json.ts";
import type { RegistryAccess } from "../pull.ts";
import { registryEndpoint, type Endpoint } from "./endpoint.ts";
import { readAll } from "./http.ts";
import { RegistrySession } from "./session.ts";

const maxAnswer = 4 * 1024 * 1024;
const pageSize = 1000;
const maxPages = 20;
const maxText = 2000;

/** Results in the registry's order, at most `limit`.
 *  @throws registry/unreachable, registry/failed for a registry that cannot be searched */
export async function searchRegistry(access: RegistryAccess, request: SearchRequest): Promise<readonly SearchResult[]> {
  const { domain, term } = splitTerm(request.term);
  const hub = domain === "docker.io";
  const found = registryEndpoint(hub ? "index.docker.io" : domain, access.config);
  const endpoint: Endpoint = { ...found, host: domain };
  const scopes = hub ? [] : ["registry:catalog:*"];
  const { signal, credentials } = request;
  const session = new RegistrySession({ endpoint, connections: access.connections, credentials, scopes, signal });
  const results = hub ? searchHub(session, term, request) : searchCatalogue(session, term, request);
  const wanted: SearchResult[] = [];
  for await (const result of results) {
    if (matches(result, request)) wanted.push(result);
    if (wanted.length >= request.limit) break;
  }
  return wanted;
}

/** A first part that is a host says where to search. Pure. */
export function splitTerm(text: string): { readonly domain: string; readonly term: string } {
  const slash = text.indexOf("/");
  const first = slash < 0 ? "" : text.slice(0, slash);
  const isHost = first === "localhost" || /[.:]/.test(first);
  return isHost ? { domain: first, term: text.slice(slash + 1) } : { domain: "docker.io", term: text };
}

async function* searchHub(
  session: RegistrySession,
  term: string,
  { limit, signal }: SearchRequest,
): AsyncGenerator<SearchResult> {
  const query = new URLSearchParams({ q: term, n: String(limit) });
  const answer = await session.request({ method: "GET", path: `v1/search?${query.toString()}` });
  const document = await readDocument(answer, session, signal);
  const results = Array.isArray(document["results"]) ? document["results"] : [];
  for (const item of results as readonly unknown[]) {
    if (!isObject(item) || typeof item["name"] !== "string") continue;
    yield {
      name: plain(item["name"]),
      description: plain(item["description"]),
      is_official: item["is_official"] === true,
      is_automated: false,
      star_count: typeof item["star_count"] === "number" ? item["star_count"] : 0,
    };
  }
}

async function* searchCatalogue(
  session: RegistrySession,
  term: string,
  { signal }: SearchRequest,
): AsyncGenerator<SearchResult> {
  let last = "";
  for (let page = 0; page < maxPages; page++) {
    const query = new URLSearchParams({ n: String(pageSize), ...(last === "" ? {} : { last }) });
    const answer = await session.request({ method: "GET", path: `v2/_catalog?${query.toString()}` });
    const more = answer.headers["link"] !== undefined;
    const { repositories } = await readDocument(answer, session, signal);
    const names = Array.isArray(repositories) ? repositories.filter((name) => typeof name === "string") : [];
    for (const name of names.filter((one) => one.includes(term.toLowerCase()))) {
      const full = `${session.endpoint.host}/${plain(name)}`;
      yield { name: full, description: "", is_official: false, is_automated: false, star_count: 0 };
    }
    last = names.at(-1) ?? "";
    if (!more || last === "") return;
  }
}

async function readDocument(
  answer: IncomingMessage,
  session: RegistrySession,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  if (answer.statusCode === 200) {
    return parseObject(await readAll(answer, maxAnswer, signal), `answer of ${session.endpoint.host}`);
  }
  answer.destroy();
  throw new TscomposeError(
    "registry/failed",
    `registry ${session.endpoint.host} cannot be searched: it answered with status ${answer.statusCode}`,
    { hint: "not every registry has a catalogue, and some want a login for it" },
  );
}

function matches({ is_official, star_count }: SearchResult, { official, stars }: SearchRequest): boolean {
  return (official === undefined || official === is_official) && star_count >= stars;
}

/** The registry's text, without what could drive a terminal. */
function plain(value: unknown): string {
  return typeof value === "string" ? value.replace(/\p{Cc}+/gu, " ").slice(0, maxText) : "";
}
