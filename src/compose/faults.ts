/** Faults between services of a project: partition, cut, heal, list. In: services. Out: what is in force.
 *  Services are meant by label, so that containers that come later are meant too. */
import type { FaultSide, NetworkFault, NetworkFaultBody } from "../api/wire.ts";
import { isTscomposeError, TscomposeError } from "../errors.ts";
import { label } from "../planner/labels.ts";
import { observeContainers } from "../planner/observe.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices } from "./select.ts";

/** What a partition (two services) or a cut (one) would be. @throws request/not-found, compose/usage */
export async function planFault(
  context: ComposeContext,
  reference: ProjectReference,
  services: readonly string[],
): Promise<NetworkFaultBody> {
  checkServices(reference, await observeContainers(context.docker, reference.name, context.signal), services);
  const [a, b] = services;
  if (a !== undefined && a === b) {
    throw new TscomposeError("compose/usage", `service ${a} cannot be partitioned from itself`, {
      hint: `\`tscompose net cut ${a}\` cuts it off from everything`,
    });
  }
  const side = (service: string): FaultSide => ({
    Name: service,
    Labels: { [label.project]: reference.name, [label.service]: service },
  });
  return {
    Kind: services.length === 2 ? "partition" : "cut",
    Sides: services.map(side),
    Labels: { [label.project]: reference.name },
  };
}

/** @throws network/name-in-use, request/unsupported for an engine that is not ours */
export async function makeFault(context: ComposeContext, fault: NetworkFaultBody): Promise<NetworkFault> {
  return await context.docker.createFault({ ...fault, abortSignal: context.signal }).catch(explainForeign);
}

/** Of the project, the oldest first; with services those in which all of them are. */
export async function listFaults(
  context: ComposeContext,
  reference: ProjectReference,
  services: readonly string[] = [],
): Promise<readonly NetworkFault[]> {
  const all = await context.docker.listFaults({ abortSignal: context.signal }).catch(explainForeign);
  return all
    .filter(({ Labels }) => Labels[label.project] === reference.name)
    .filter(({ Sides }) => services.every((service) => Sides.some(({ Name }) => Name === service)));
}

/** @returns what was healed */
export async function healFaults(
  context: ComposeContext,
  faults: readonly NetworkFault[],
): Promise<readonly NetworkFault[]> {
  for (const { Id } of faults) {
    await context.docker.removeFault(Id, { abortSignal: context.signal }).catch((error: unknown) => {
      if (!isTscomposeError(error, "network/not-found")) throw error; // somebody else was faster
    });
  }
  return faults;
}

/** With the project go its faults. An engine that knows none has none. */
export async function healProject(context: ComposeContext, reference: ProjectReference): Promise<void> {
  const faults = await listFaults(context, reference).catch((error: unknown) => {
    if (isTscomposeError(error, "request/unsupported")) return [];
    throw error;
  });
  await healFaults(context, faults);
}

function explainForeign(error: unknown): never {
  if (error instanceof TscomposeError && [404, 405, 501].includes(Number(error.details?.["statusCode"]))) {
    throw new TscomposeError("request/unsupported", "this engine cannot partition networks", {
      cause: error,
      hint: "it is not an engine of tscompose; leave -H and TSCOMPOSE_HOST out to use one",
    });
  }
  throw error;
}
