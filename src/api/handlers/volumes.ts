/** Volumes. */
import { volumeCreateBody } from "../bodies.ts";
import { created, empty, ok, parameter } from "../call.ts";
import type { Call, Handler } from "../call.ts";
import { readBoolean, readFilters } from "../query.ts";
import type { VolumeCreateBody } from "../wire.ts";

const name = (call: Call): string => parameter(call, "name");

export const list: Handler = async (call, engine) =>
  ok(await engine.volumes.list(readFilters(call.query, ["dangling", "driver", "label", "name"])));
export const create: Handler = async (call, engine) =>
  created(await engine.volumes.create((await call.json<VolumeCreateBody>(volumeCreateBody)) ?? {}));
export const inspect: Handler = async (call, engine) => ok(await engine.volumes.inspect(name(call)));
export const remove: Handler = async (call, engine) => {
  await engine.volumes.remove(name(call), readBoolean(call.query, "force"));
  return empty(204);
};
export const prune: Handler = async (call, engine) =>
  ok(await engine.volumes.prune(readFilters(call.query, ["label", "label!", "all"])));
