/** Questions to registries: credentials, digests, names. */
import { TscomposeError } from "../../errors.ts";
import { registryCredentials } from "../bodies.ts";
import { readCredentials } from "../body.ts";
import { ok, parameter } from "../call.ts";
import type { Handler } from "../call.ts";
import { readFilters, readInteger, readText } from "../query.ts";
import type { RegistryCredentials } from "../wire.ts";

export const auth: Handler = async (call, engine) => {
  const credentials = await call.json<RegistryCredentials>(registryCredentials);
  if (credentials === undefined) throw new TscomposeError("request/invalid", "no credentials given");
  return ok(await engine.images.logIn(credentials, call.signal));
};

export const distribution: Handler = async (call, engine) =>
  ok(
    await engine.images.distribution({
      reference: parameter(call, "name"),
      credentials: readCredentials(call.headers),
      signal: call.signal,
    }),
  );

const defaultLimit = 25;
const maxLimit = 100;

export const search: Handler = async (call, engine) => {
  const term = readText(call.query, "term");
  if (term === undefined) throw new TscomposeError("request/invalid", "Search term is required");
  const limit = readInteger(call.query, "limit") ?? 0;
  if (limit < 0 || limit > maxLimit) {
    throw new TscomposeError("request/invalid", `limit ${limit} is outside the range of [1, ${maxLimit}]`);
  }
  const filters = readFilters(call.query, ["is-automated", "is-official", "stars"]);
  const [official] = filters.get("is-official") ?? [];
  const stars = Math.max(0, ...[...(filters.get("stars") ?? [])].map(Number));
  if (Number.isNaN(stars)) throw new TscomposeError("request/invalid", "invalid filter 'stars'");
  return ok(
    await engine.images.search({
      term,
      limit: limit === 0 ? defaultLimit : limit,
      official: official === undefined ? undefined : official === "true" || official === "1",
      stars,
      credentials: readCredentials(call.headers),
      signal: call.signal,
    }),
  );
};
