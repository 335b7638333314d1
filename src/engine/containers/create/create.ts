/** Makes a container: everything about the request is checked before anything is made; what fails after that is undone. */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { errorMessage, TscomposeError } from "../../../errors.ts";
import { formatNanoseconds, realtimeNs } from "../../../host/clock.ts";
import { UndoStack } from "../../../host/undo-stack.ts";
import { containerAttributes } from "../../events.ts";
import type { StoredImage } from "../../images/types.ts";
import type { ContainerConfig, ContainerCreateBody, ContainerCreateResult, HostConfig } from "../../types.ts";
import { resolveMounts } from "../../volumes/resolve-mounts.ts";
import { Container } from "../container.ts";
import type { ContainerContext } from "../context.ts";
import { exposedPorts, portRequests, requestedEndpoints } from "../network-plan.ts";
import { containerPaths } from "../paths.ts";
import type { ContainerRecord, RecordedState } from "../record.ts";
import { readCdiDevices } from "../../runtime/cdi/cdi-registry.ts";
import { requestedDevices } from "../../runtime/cdi/device-requests.ts";
import { planDevices } from "../../runtime/devices.ts";
import { checkHostConfig, normaliseHostConfig } from "./host-config.ts";
import { checkConfig, commandOf, mergeConfig } from "./image-config.ts";
import { checkContainerName, randomName } from "./name.ts";

/** @throws request/invalid, request/unsupported, host/unsupported, image/not-found, container/name-in-use */
export async function createContainer(
  ctx: ContainerContext,
  request: {
    readonly name: string | undefined;
    readonly body: ContainerCreateBody;
    readonly platform: string | undefined;
  },
): Promise<ContainerCreateResult> {
  const { body } = request;
  if (request.name !== undefined) checkContainerName(request.name);
  const image = findImage(ctx, body.Image ?? "", request.platform);
  const id = randomBytes(32).toString("hex");
  const config = withHostNames(mergeConfig(body, image.config.config ?? {}, id), body);
  checkConfig(config);
  const { path, args } = commandOf(config);
  const context = { host: ctx.host, runtimes: ctx.runtime.names };
  const hostConfig = normaliseHostConfig(body.HostConfig ?? {}, context);
  const warnings = [...checkHostConfig(hostConfig, context), ...portWarnings(hostConfig)];
  const endpoints = requestedEndpoints(hostConfig, config, body.NetworkingConfig?.EndpointsConfig ?? {});
  portRequests(hostConfig, config);
  exposedPorts(config);
  planDevices({
    privileged: false,
    devices: hostConfig.Devices ?? [],
    rules: hostConfig.DeviceCgroupRules ?? [],
  });

  if (hostConfig.DeviceRequests?.length) {
    requestedDevices(hostConfig.DeviceRequests, readCdiDevices(ctx.host.cdiDirectories));
  }

  const userNamespace = ctx.userNamespaces.mapFor(hostConfig);
  const name = request.name ?? randomName((candidate) => ctx.registry.hasName(candidate));
  const undo = new UndoStack();
  ctx.registry.reserveName(name, id);
  undo.defer("name", () => ctx.registry.releaseName(name, id));
  try {
    const wishes = {
      hostConfig,
      imageVolumes: Object.keys(config.Volumes ?? {}),
      mountsOf: (ref: string) => ctx.registry.resolve(ref).record.mounts,
    };
    const record: ContainerRecord = {
      version: 1,
      id,
      name,
      created: formatNanoseconds(realtimeNs()),
      imageId: image.id,
      imageRef: body.Image ?? "",
      config,
      hostConfig,
      path,
      args,
      endpoints,
      mounts: resolveMounts(wishes, { volumes: ctx.volumes, undo }),
      ...(userNamespace === undefined ? {} : { userNamespace }),
      state: newState(),
    };
    makeFiles(ctx, record, undo);
    undo.commit();
    return { Id: id, Warnings: warnings };
  } catch (error) {
    for (const problem of await undo.run()) ctx.log("warn", `container ${name}: ${errorMessage(problem)}`);
    throw error;
  }
}

function makeFiles(ctx: ContainerContext, record: ContainerRecord, undo: UndoStack): void {
  const paths = containerPaths(ctx.roots, record.id);
  const container = new Container(record, paths, (error) => {
    ctx.log("error", `the record of container ${record.name} could not be written: ${errorMessage(error)}`);
  });
  mkdirSync(paths.dir, { mode: 0o700 });
  undo.defer("directory", () => rm(paths.dir, { recursive: true, force: true }));
  ctx.rootfs.create(container);
  ctx.images.acquire(record.imageId, { containerId: record.id, running: () => container.alive });
  undo.defer("image", () => ctx.images.release(record.imageId, record.id));
  container.persist();
  ctx.registry.add(container);
  ctx.accompany(container);
  ctx.publish({ type: "container", action: "create", id: record.id, attributes: containerAttributes(record) });
}

function findImage(ctx: ContainerContext, ref: string, platform: string | undefined): StoredImage {
  if (ref === "") throw new TscomposeError("request/invalid", "no image specified");
  const image = ctx.images.resolve(ref, platform === "" ? undefined : platform);
  const { os, architecture } = image.config;
  const wanted = platform?.split("/") ?? [];
  if (platform !== undefined && platform !== "" && (wanted[0] !== os || (wanted[1] ?? architecture) !== architecture)) {
    throw new TscomposeError(
      "image/not-found",
      `image with reference ${ref} was found but does not provide the specified platform (${platform})`,
      { hint: "pull the image for that platform" },
    );
  }
  return image;
}

/** A container that shares the host's names shows them. */
function withHostNames(config: ContainerConfig, body: ContainerCreateBody): ContainerConfig {
  const { NetworkMode, UTSMode } = body.HostConfig ?? {};
  if (body.Hostname && UTSMode === "host") {
    throw new TscomposeError("request/invalid", "conflicting options: hostname and the UTS mode");
  }
  const shares = NetworkMode === "host" || UTSMode === "host";
  return shares && !body.Hostname ? { ...config, Hostname: hostname() } : config;
}

function portWarnings(hostConfig: HostConfig): readonly string[] {
  const published = Object.keys(hostConfig.PortBindings ?? {}).length > 0 || hostConfig.PublishAllPorts === true;
  const mode = hostConfig.NetworkMode ?? "";
  if (!published || (mode !== "host" && mode !== "none" && !mode.startsWith("container:"))) return [];
  return [`Published ports are discarded when using ${mode.split(":")[0]} network mode`];
}

export const never = "0001-01-01T00:00:00Z";

/** Of a container that has never run. */
export function newState(): RecordedState {
  return {
    status: "created",
    process: undefined,
    monitor: undefined,
    exitCode: 0,
    error: "",
    oomKilled: false,
    startedAt: never,
    finishedAt: never,
    restartCount: 0,
    stoppedByUser: false,
    health: undefined,
    sandbox: undefined,
    lastEndpoints: [],
  };
}
