import type { Labels, MountPoint } from "../api/wire.ts";
import type { Docker } from "../client/docker.ts";
import { errorMessage, isTscomposeError, TscomposeError } from "../errors.ts";
import type { Project, Service } from "../spec/model.ts";

import { imageLabels } from "./classify.ts";
import { createBody } from "./create-body/create-body.ts";
import { injectedFiles } from "./create-body/injected-files.ts";
import type { PerformResult, RunScope } from "./execute.ts";
import { label } from "./labels.ts";
import { imageName } from "./names.ts";
import type { ObservedImage } from "./observed.ts";
import type { ContainerRef, Operation } from "./operation.ts";
import type { PlanNode } from "./plan.ts";
import { resolveReferences } from "./resolve-references.ts";
import { runPreStart } from "./run-pre-start.ts";
import { runHook } from "./run-hook.ts";
import { explainFailure } from "./explain-failure.ts";
import type { ContainerWatch } from "./wait.ts";

export interface PerformContext {
  readonly docker: Docker;
  /** Undefined for plans that only take away. */
  readonly project: Project | undefined;
  readonly images: ReadonlyMap<string, ObservedImage>;
  /** Text of the seccomp profiles that `security_opt` names. */
  readonly profiles: ReadonlyMap<string, string>;
  readonly watch: ContainerWatch;
  /** What the engine remarks about a container that it has done something to. */
  readonly onNote?: (container: string, note: string) => void;
}

type OperationOf<Kind extends Operation["kind"]> = Extract<Operation, { readonly kind: Kind }>;

/** One call of the engine for each operation. What teardown finds gone already counts as done. */
export function createPerformer(context: PerformContext): (node: PlanNode, run: RunScope) => Promise<PerformResult> {
  return async ({ operation }, run) => {
    try {
      return await perform(context, operation, run);
    } catch (error) {
      throw explainFailure(operation, error);
    }
  };
}

async function perform(context: PerformContext, operation: Operation, run: RunScope): Promise<PerformResult> {
  const { docker } = context;
  const idOf = (ref: ContainerRef): string => (ref.kind === "existing" ? ref.id : run.containerOf(ref.node));
  switch (operation.kind) {
    case "create-network":
      return await createNetwork(docker, operation);
    case "remove-network":
      return await removeNetwork(docker, operation);
    case "create-volume":
      await docker.createVolume(operation.body);
      return {};
    case "remove-volume":
      return await removeVolume(docker, operation.name);
    case "remove-image":
      return await removeImage(docker, operation.name);
    case "connect-network":
      await docker
        .getNetwork(operation.network)
        .connect({ Container: idOf(operation.container), EndpointConfig: operation.endpoint });
      return {};
    case "disconnect-network":
      await docker.getNetwork(operation.network).disconnect({ Container: idOf(operation.container), Force: true });
      return {};
    case "create-container":
      return { containerId: await createContainer(context, operation, idOf) };
    case "start-container":
      await startContainer(context, operation, idOf(operation.container));
      return {};
    case "stop-container":
      return await stopContainer(context, idOf(operation.container), operation);
    case "run-hook":
      return await unlessGone("container/not-found", () =>
        runHook(docker, { ...operation, id: idOf(operation.container), signal: run.signal }),
      );
    case "run-pre-start": {
      const replica = idOf(operation.container);
      const { index, hook, service } = operation;
      await runPreStart(docker, { ...serviceOf(context, service), service, index, hook, replica, signal: run.signal });
      return {};
    }
    case "remove-container":
      return await removeContainer(docker, idOf(operation.container), operation);
    case "rename-container":
      await docker.getContainer(idOf(operation.container)).rename({ name: operation.name });
      return {};
    case "wait-service":
      return await waitService(context, operation, { idOf, signal: run.signal });
  }
}

/** Another client may have made it since we looked: one that bears our label is what we wanted. */
async function createNetwork(docker: Docker, { name, body }: OperationOf<"create-network">): Promise<PerformResult> {
  try {
    await docker.createNetwork(body);
  } catch (error) {
    if (!isTscomposeError(error, "network/name-in-use") && !isTscomposeError(error, "request/conflict")) throw error;
    const found = (await docker.listNetworks()).find((network) => network.Name === name);
    if (found?.Labels[label.project] !== body.Labels?.[label.project]) throw error;
  }
  return {};
}

async function removeNetwork(docker: Docker, { id, ifUnused }: OperationOf<"remove-network">): Promise<PerformResult> {
  try {
    return await unlessGone("network/not-found", () => docker.getNetwork(id).remove());
  } catch (error) {
    if (ifUnused && isInUse(error, "network/in-use")) return { warning: "Resource is still in use" };
    throw error;
  }
}

/** One that a one-off or another project's container mounts is left. */
async function removeVolume(docker: Docker, name: string): Promise<PerformResult> {
  try {
    return await unlessGone("volume/not-found", () => docker.getVolume(name).remove());
  } catch (error) {
    if (isInUse(error, "volume/in-use")) return { warning: "Resource is still in use" };
    throw error;
  }
}

/** One that a container of another project uses is left. */
async function removeImage(docker: Docker, name: string): Promise<PerformResult> {
  try {
    return await unlessGone("image/not-found", () => docker.getImage(name).remove());
  } catch (error) {
    if (isInUse(error, "image/in-use")) return { warning: "Resource is still in use" };
    throw error;
  }
}

function isInUse(error: unknown, code: "network/in-use" | "image/in-use" | "volume/in-use"): boolean {
  return (
    isTscomposeError(error, code) ||
    (isTscomposeError(error) && /has active endpoints|is using|in use/.test(error.message))
  );
}

async function unlessGone(
  code: "network/not-found" | "volume/not-found" | "image/not-found" | "container/not-found",
  call: () => Promise<unknown>,
): Promise<PerformResult> {
  try {
    await call();
  } catch (error) {
    if (!isTscomposeError(error, code)) throw error;
  }
  return {};
}

async function createContainer(
  context: PerformContext,
  operation: OperationOf<"create-container">,
  idOf: (ref: ContainerRef) => string,
): Promise<string> {
  const { project, spec } = serviceOf(context, operation.service);
  const references = new Map([...operation.references].map(([service, ref]) => [service, idOf(ref)]));
  const body = createBody({
    project,
    service: operation.service,
    spec: resolveReferences(spec, (service) => references.get(service)),
    number: operation.number,
    name: operation.name,
    inherit: operation.inherit as readonly MountPoint[],
    imageVolumes: context.images.get(imageName(project, operation.service, spec))?.volumes ?? [],
    profiles: context.profiles,
    linked: operation.linked,
    labels: {
      ...imageLabels(project, operation.service, spec, context.images),
      ...(operation.replaces === undefined ? {} : { [label.replace]: operation.replaces }),
    },
  });
  const platform = spec.platform === undefined ? {} : { platform: spec.platform };
  const create = async (): Promise<string> =>
    (await context.docker.createContainer({ name: operation.initialName, ...platform, ...body })).id;
  try {
    return await create();
  } catch (error) {
    if (!isTscomposeError(error, "container/name-in-use") && !isTscomposeError(error, "request/conflict")) throw error;
    const left = await findLeftover(context.docker, operation.initialName, body.Labels ?? {});
    if (left === undefined) throw error;
    if (left.configHash === body.Labels?.[label.configHash]) return left.id;
    await unlessGone("container/not-found", () => context.docker.getContainer(left.id).remove({ force: true }));
    return await create();
  }
}

/** A container of that name that a killed `up` had asked for and the engine made after we had looked: ours, and never started. */
async function findLeftover(
  docker: Docker,
  name: string,
  labels: Labels,
): Promise<{ readonly id: string; readonly configHash: string | undefined } | undefined> {
  try {
    const { Id: id, Config: config, State: state } = await docker.getContainer(name).inspect();
    const theirs = config.Labels ?? {};
    const same = [label.project, label.service, label.number].every((key) => theirs[key] === labels[key]);
    return same && state.Status === "created" ? { id, configHash: theirs[label.configHash] } : undefined;
  } catch (error) {
    if (isTscomposeError(error, "container/not-found")) return undefined;
    throw error;
  }
}

/** Secrets and configs that are text go in before every start, as the engine keeps no trace of where they came from. */
async function startContainer(
  context: PerformContext,
  operation: OperationOf<"start-container">,
  id: string,
): Promise<void> {
  const container = context.docker.getContainer(id);
  const spec = context.project?.services[operation.service];
  if (context.project !== undefined && spec !== undefined) {
    const files = injectedFiles(context.project, operation.service, spec);
    if (files.length > 0) {
      const { packFiles } = await import("./pack-files.ts");
      await container.putArchive(await packFiles(files), { path: "/", noOverwriteDirNonDir: true });
    }
  }
  try {
    await container.start();
  } catch (error) {
    if (!isTscomposeError(error, "container/not-modified")) throw error;
  }
}

async function stopContainer(
  { docker, onNote }: PerformContext,
  id: string,
  { container, timeoutSeconds }: OperationOf<"stop-container">,
): Promise<PerformResult> {
  const onWarning = (text: string): void => onNote?.(container.name, text);
  try {
    await docker.getContainer(id).stop({ onWarning, ...(timeoutSeconds === undefined ? {} : { t: timeoutSeconds }) });
  } catch (error) {
    if (!isTscomposeError(error, "container/not-modified") && !isTscomposeError(error, "container/not-found"))
      throw error;
  }
  return {};
}

async function removeContainer(
  docker: Docker,
  id: string,
  { force, volumes }: OperationOf<"remove-container">,
): Promise<PerformResult> {
  const container = docker.getContainer(id);
  try {
    return await unlessGone("container/not-found", () => container.remove({ force, v: volumes }));
  } catch (error) {
    // Somebody else (`--rm`, another down) is at it: done when they are.
    if (!isTscomposeError(error) || !/already in progress/.test(error.message)) throw error;
    return await unlessGone("container/not-found", () => container.wait({ condition: "removed" }));
  }
}

async function waitService(
  context: PerformContext,
  operation: OperationOf<"wait-service">,
  { idOf, signal }: { readonly idOf: (ref: ContainerRef) => string; readonly signal: AbortSignal },
): Promise<PerformResult> {
  const { service, condition, containers, required } = operation;
  if (containers.length === 0) {
    const message = `no container of service "${service}" to wait for`;
    if (required) throw new TscomposeError("compose/failed", message);
    return { warning: message };
  }
  try {
    await Promise.all(
      containers.map((ref) => context.watch.waitFor({ id: idOf(ref), name: ref.name, service }, condition, signal)),
    );
    return {};
  } catch (error) {
    if (required || signal.aborted) throw error;
    return { warning: `Skipped: ${errorMessage(error)}` };
  }
}

function serviceOf(
  { project }: PerformContext,
  service: string,
): { readonly project: Project; readonly spec: Service } {
  const spec = project?.services[service];
  if (project === undefined || spec === undefined) throw new Error(`no service ${service} in the project of this plan`);
  return { project, spec };
}
