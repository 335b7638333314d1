/** Network faults: an extension of ours to Docker's API. */
import type { Engine, FaultService } from "../../engine/engine.ts";
import { TscomposeError } from "../../errors.ts";
import { networkFaultBody } from "../bodies.ts";
import { created, empty, ok, parameter } from "../call.ts";
import type { Handler } from "../call.ts";
import type { NetworkFaultBody } from "../wire.ts";

function faultsOf({ faults }: Engine): FaultService {
  if (faults !== undefined) return faults;
  throw new TscomposeError("request/unsupported", "this engine cannot partition networks");
}

export const list: Handler = async (_call, engine) => ok(await faultsOf(engine).list());
export const create: Handler = async (call, engine) => {
  const body = await call.json<Partial<NetworkFaultBody>>(networkFaultBody);
  const { Kind, Sides } = body ?? {};
  if (Kind === undefined || Sides === undefined) {
    throw new TscomposeError("request/invalid", "a network fault has a Kind and Sides");
  }
  const sides = Sides.map((side) => ({ Name: side.Name ?? "", Labels: side.Labels ?? {} }));
  return created(await faultsOf(engine).create({ Kind, Sides: sides, Labels: body?.Labels ?? {} }));
};
export const remove: Handler = async (call, engine) => {
  await faultsOf(engine).remove(parameter(call, "id"));
  return empty(204);
};
