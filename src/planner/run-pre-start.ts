/** `pre_start`: a container of its own for each hook, run to its end before the service's first container is started. Its labels and words
 *  are Docker Compose's, as is that it has no secrets and configs, and shares the volumes of the first replica.
 *  Source: compose-semantics.md section 15; docker compose 5.5 observed. */
import type { ContainerCreateBody } from "../api/wire.ts";
import type { Docker } from "../client/docker.ts";
import { isTscomposeError, TscomposeError } from "../errors.ts";
import type { Hook, Project, Service } from "../spec/model.ts";

import { createBody } from "./create-body/create-body.ts";
import { composeVersion, label } from "./labels.ts";

/** Of what a failed hook printed, so much is shown. */
const tailLines = 20;

export interface PreStart {
  readonly project: Project;
  readonly service: string;
  readonly spec: Service;
  readonly index: number;
  readonly hook: Hook;
  /** Of the container whose volumes it shares. */
  readonly replica: string;
  readonly signal: AbortSignal;
}

/** The container of one that succeeds is removed, that of one that fails stays until the next run or `down`.
 *  @throws compose/failed with the exit code and the end of what it printed; aborted */
export async function runPreStart(docker: Docker, request: PreStart): Promise<void> {
  const { project, service, index, signal } = request;
  if (index === 0) await removeHookContainers(docker, project.name, service);
  const container = await docker.createContainer(preStartBody(request));
  const remove = async (): Promise<void> => await removeIfThere(docker, container.id);
  try {
    await container.start();
    const { StatusCode: code } = await container.wait({ abortSignal: signal });
    if (code === 0) return await remove();
    const log = await container.logs({ stdout: true, stderr: true, tail: tailLines });
    const tail = plainText(log).trim();
    throw new TscomposeError(
      "compose/failed",
      `service "${service}" pre_start[${index}] exited with code ${code}${tail === "" ? "" : `: ${tail}`} ` +
        `(hook container ${container.id.slice(0, 12)} retained for inspection)`,
    );
  } catch (error) {
    if (signal.aborted || !isTscomposeError(error, "compose/failed")) await remove();
    throw error;
  }
}

/** Of the service of what is given, what the hook needs too; user, folder and privileges are its own. */
export function preStartBody({ project, service, spec, hook, replica }: PreStart): ContainerCreateBody {
  const { networks, network_mode, dns, dns_opt, dns_search, extra_hosts, platform, build, image } = spec;
  const own = { networks, network_mode, dns, dns_opt, dns_search, extra_hosts, platform };
  const given = { user: hook.user, working_dir: hook.working_dir, privileged: hook.privileged };
  const hookSpec = {
    ...withoutUndefined(own),
    ...withoutUndefined(given),
    ...(hook.image === undefined ? withoutUndefined({ image, build }) : { image: hook.image }),
    command: hook.command,
    environment: { ...spec.environment, ...hook.environment },
  } as Service;
  const body = createBody({
    project,
    service,
    spec: hookSpec,
    number: 0,
    name: "",
    inherit: [],
    imageVolumes: [],
    profiles: new Map(),
    linked: new Map(),
    labels: {},
    aliases: "name",
  });
  return {
    ...body,
    Labels: {
      [label.project]: project.name,
      [label.service]: service,
      [label.version]: composeVersion,
      [label.hook]: "pre_start",
    },
    HostConfig: { ...body.HostConfig, VolumesFrom: [replica] },
  };
}

function withoutUndefined(values: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));
}

async function removeHookContainers(docker: Docker, project: string, service: string): Promise<void> {
  const wanted = [`${label.project}=${project}`, `${label.service}=${service}`, `${label.hook}=pre_start`];
  const left = await docker.listContainers({ all: true, filters: { label: wanted } });
  await Promise.all(left.map(async ({ Id }) => await removeIfThere(docker, Id)));
}

async function removeIfThere(docker: Docker, id: string): Promise<void> {
  try {
    await docker.getContainer(id).remove({ force: true, v: true });
  } catch (error) {
    if (!isTscomposeError(error, "container/not-found")) throw error;
  }
}

/** Of frames as they come from a container without a terminal. */
function plainText(frames: Buffer): string {
  let text = "";
  for (let at = 0; at + 8 <= frames.length;) {
    const length = frames.readUInt32BE(at + 4);
    text += frames.toString("utf8", at + 8, at + 8 + length);
    at += 8 + length;
  }
  return text;
}
