/** Networks. */
import { TscomposeError } from "../../errors.ts";
import { networkConnectBody, networkCreateBody, networkDisconnectBody } from "../bodies.ts";
import type { NetworkConnectBody, NetworkDisconnectBody } from "../bodies.ts";
import { created, empty, ok, parameter } from "../call.ts";
import type { Call, Handler } from "../call.ts";
import { readFilters } from "../query.ts";
import type { NetworkCreateBody } from "../wire.ts";

const id = (call: Call): string => parameter(call, "id");

export const list: Handler = async (call, engine) =>
  ok(
    await engine.networks.list(readFilters(call.query, ["dangling", "driver", "id", "label", "name", "scope", "type"])),
  );
export const create: Handler = async (call, engine) => {
  const body = await call.json<Partial<NetworkCreateBody>>(networkCreateBody);
  const { Name } = body ?? {};
  if (Name === undefined || Name === "") throw new TscomposeError("request/invalid", "network name must not be empty");
  return created(await engine.networks.create({ ...body, Name }));
};
export const inspect: Handler = async (call, engine) => ok(await engine.networks.inspect(id(call)));
export const remove: Handler = async (call, engine) => {
  await engine.networks.remove(id(call));
  return empty(204);
};

function requireContainer(container: string | undefined): string {
  if (container !== undefined && container !== "") return container;
  throw new TscomposeError("request/invalid", "no container named");
}
export const connect: Handler = async (call, engine) => {
  const { Container, EndpointConfig } = (await call.json<NetworkConnectBody>(networkConnectBody)) ?? {};
  await engine.networks.connect(id(call), requireContainer(Container), EndpointConfig);
  return empty(200);
};
export const disconnect: Handler = async (call, engine) => {
  const { Container, Force } = (await call.json<NetworkDisconnectBody>(networkDisconnectBody)) ?? {};
  await engine.networks.disconnect(id(call), requireContainer(Container), Force === true);
  return empty(200);
};
export const prune: Handler = async (call, engine) =>
  ok(await engine.networks.prune(readFilters(call.query, ["label", "label!", "until"])));
