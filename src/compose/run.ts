import { randomBytes } from "node:crypto";

import type { ContainerCreateBody } from "../api/wire.ts";
import { createBody } from "../planner/create-body/create-body.ts";
import { injectedFiles } from "../planner/create-body/injected-files.ts";
import { imageLabels } from "../planner/classify.ts";
import { closure } from "../planner/graph.ts";
import { label } from "../planner/labels.ts";
import { imageName } from "../planner/names.ts";
import type { ObservedState } from "../planner/observed.ts";
import { runHooks } from "../planner/run-hook.ts";
import { observe } from "../planner/observe.ts";
import { defaultReconcileOptions } from "../planner/options.ts";
import { packFiles } from "../planner/pack-files.ts";
import { serviceGraph } from "../planner/reconcile.ts";
import { resolveReferences } from "../planner/resolve-references.ts";
import { createContainerWatch } from "../planner/wait.ts";
import { TscomposeError } from "../errors.ts";
import type { Mount, Port, Project, Service } from "../spec/model.ts";

import type { ComposeContext } from "./context.ts";
import { converge, provideImages } from "./converge.ts";
import type { ProcessSession } from "./exec.ts";
import { imageReferences, imagesNeeded, type PullOverride } from "./images-needed.ts";
import { readSeccompProfiles } from "./seccomp-profiles.ts";

export interface RunOptions {
  readonly service: string;
  /** Empty: the service's own. */
  readonly command: readonly string[];
  readonly entrypoint: readonly string[] | undefined;
  readonly environment: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly name: string | undefined;
  readonly user: string | undefined;
  readonly workdir: string | undefined;
  readonly volumes: readonly Mount[];
  /** `service`: those of the service; else these alone. */
  readonly ports: "service" | readonly Port[];
  readonly capAdd: readonly string[];
  readonly capDrop: readonly string[];
  readonly aliases: "all" | "name";
  readonly tty: boolean;
  readonly interactive: boolean;
  readonly detach: boolean;
  readonly remove: boolean;
  readonly dependencies: "start" | "leave";
  readonly orphans: "remove" | "warn" | "ignore";
  readonly pull: PullOverride;
  readonly layerProgress: boolean;
}

export interface OneOff {
  readonly id: string;
  readonly name: string;
  /** Undefined with `detach`. */
  readonly session: ProcessSession | undefined;
  kill(signal: string): Promise<void>;
}

/** Runs a command in a new container of a service, after what the service depends on. Source: docker/compose `run.go`. */
export async function run(context: ComposeContext, project: Project, options: RunOptions): Promise<OneOff> {
  const { service } = options;
  const spec = project.services[service];
  if (spec === undefined) {
    throw new TscomposeError("request/not-found", `no such service: ${service}`, {
      hint: `services: ${Object.keys(project.services).join(", ")}`,
    });
  }
  await prepare(context, project, options);
  const images = imageReferences({ ...project, services: { [service]: spec } });
  const observed = await observe(context.docker, { project: project.name, images, signal: context.signal });
  if (options.dependencies === "start") await waitForDependencies(context, { project, spec, observed });
  const slug = randomBytes(32).toString("hex");
  const { name: projectName, separator } = project;
  const name = options.name ?? [projectName, service, "run", slug.slice(0, 12)].join(separator);
  const changed = oneOffSpec(spec, options);
  const body = await oneOffBody({ project, service, spec: changed, name, slug, observed, options });
  const platform = spec.platform === undefined ? {} : { platform: spec.platform };
  const container = await context.docker.createContainer({ name, ...platform, ...body });
  const { docker, signal } = context;
  const hooks = (): Promise<void> => runHooks(docker, { id: container.id, service, hooks: spec.post_start, signal });
  const handle = { id: container.id, name, kill: (signal: string) => container.kill({ signal }) };
  try {
    const files = injectedFiles(project, service, changed);
    if (files.length > 0) await container.putArchive(await packFiles(files), { path: "/", noOverwriteDirNonDir: true });
    if (options.detach) {
      await container.start();
      await hooks();
      return { ...handle, session: undefined };
    }
    const stream = await container.attach({ stream: true, stdin: options.interactive, stdout: true, stderr: true });
    const ended = container.wait({ condition: options.remove ? "removed" : "next-exit" });
    ended.catch(() => undefined);
    await container.start();
    await hooks();
    const session: ProcessSession = {
      stream,
      tty: options.tty,
      resize: (h, w) => container.resize({ h, w }),
      exitCode: async () => (await ended).StatusCode,
    };
    return { ...handle, session };
  } catch (error) {
    // It never ran: nobody would know what it is there for.
    await container.remove({ force: true, v: true }).catch(() => undefined);
    throw error;
  }
}

/** Networks, volumes and images; and with `dependencies: "start"` the services it depends on. */
async function prepare(context: ComposeContext, project: Project, options: RunOptions): Promise<void> {
  const { service } = options;
  const graph = serviceGraph(project);
  const needed =
    options.dependencies === "start" ? closure([service], (name) => graph.dependenciesOf(name)) : new Set([service]);
  const others = Object.entries(project.services).filter(([name]) => name !== service && needed.has(name));
  const idle = Object.entries(project.services).filter(([name]) => name === service || !needed.has(name));
  const reduced: Project = {
    ...project,
    services: Object.fromEntries(others),
    disabledServices: { ...project.disabledServices, ...Object.fromEntries(idle) },
  };
  await converge(context, reduced, {
    reconcile: { ...defaultReconcileOptions, orphans: options.orphans },
    pull: "policy",
    build: "missing",
    layerProgress: options.layerProgress,
    assumeYes: false,
    waitTimeoutSeconds: undefined,
  });
  const own: Project = {
    ...project,
    services: Object.fromEntries(Object.entries(project.services).filter(([name]) => name === service)),
  };
  const { images } = await observe(context.docker, {
    project: project.name,
    images: imageReferences(own),
    signal: context.signal,
  });
  const needs = imagesNeeded(own, images, { pull: options.pull, build: "missing", nowMs: Date.now() });
  const open = needs.filter(({ action }) => action !== "none");
  await provideImages(context, { project: own, needs: open }, options);
}

async function waitForDependencies(
  context: ComposeContext,
  { project, spec, observed }: { readonly project: Project; readonly spec: Service; readonly observed: ObservedState },
): Promise<void> {
  const watch = createContainerWatch(context.docker, project.name);
  try {
    await Promise.all(
      Object.entries(spec.depends_on ?? {}).flatMap(([name, { condition, required }]) =>
        observed.containers
          .filter((container) => container.service === name && !container.oneoff && condition !== "service_started")
          .map(async (container) => {
            try {
              await watch.waitFor({ id: container.id, name: container.name, service: name }, condition, context.signal);
            } catch (error) {
              if (required || context.signal.aborted) throw error;
            }
          }),
      ),
    );
  } finally {
    watch.close();
  }
}

function oneOffSpec(spec: Service, options: RunOptions): Service {
  const { restart: _restart, ports, container_name: _name, deploy, ...rest } = spec;
  const { restart_policy: _policy, ...deployed } = deploy ?? { resources: {}, placement: {} };
  const wanted = options.ports === "service" ? (ports ?? []) : options.ports;
  const command = options.command.length > 0 ? options.command : options.entrypoint === undefined ? spec.command : null;
  const targets = new Set(options.volumes.map(({ target }) => target));
  return {
    ...rest,
    ...(deploy === undefined ? {} : { deploy: deployed }),
    ports: wanted,
    command,
    entrypoint: options.entrypoint ?? spec.entrypoint,
    environment: { ...spec.environment, ...environmentOf(options.environment) },
    labels: { ...spec.labels, ...options.labels },
    tty: options.tty,
    stdin_open: options.interactive,
    volumes: [...(spec.volumes ?? []).filter(({ target }) => !targets.has(target)), ...options.volumes],
    cap_add: [...(spec.cap_add ?? []).filter((cap) => !options.capDrop.includes(cap)), ...options.capAdd],
    cap_drop: [...(spec.cap_drop ?? []).filter((cap) => !options.capAdd.includes(cap)), ...options.capDrop],
    ...(options.user === undefined ? {} : { user: options.user }),
    ...(options.workdir === undefined ? {} : { working_dir: options.workdir }),
  };
}

/** A name without a value stays without one: it is taken out of the image's environment. */
function environmentOf(entries: readonly string[]): Readonly<Record<string, string | null>> {
  return Object.fromEntries(
    entries.map((entry) => {
      const equals = entry.indexOf("=");
      return equals < 0 ? [entry, null] : [entry.slice(0, equals), entry.slice(equals + 1)];
    }),
  );
}

async function oneOffBody({
  project,
  service,
  spec,
  name,
  slug,
  observed,
  options,
}: {
  readonly project: Project;
  readonly service: string;
  readonly spec: Service;
  readonly name: string;
  readonly slug: string;
  readonly observed: ObservedState;
  readonly options: RunOptions;
}): Promise<ContainerCreateBody> {
  const containersOf = (other: string): readonly { readonly id: string; readonly name: string }[] =>
    observed.containers.filter((container) => container.service === other && !container.oneoff);
  const body = createBody({
    project,
    service,
    spec: resolveReferences(spec, (other) => containersOf(other)[0]?.id),
    number: 0,
    name,
    inherit: [],
    imageVolumes: observed.images.get(imageName(project, service, spec))?.volumes ?? [],
    profiles: await readSeccompProfiles(project),
    linked: new Map(
      (spec.links ?? []).map((link) => [
        link.split(":", 1)[0] ?? link,
        containersOf(link.split(":", 1)[0] ?? link).map((one) => one.name),
      ]),
    ),
    labels: { ...imageLabels(project, service, spec, observed.images), [label.slug]: slug },
    aliases: options.aliases,
  });
  return {
    ...body,
    AttachStdin: options.interactive && !options.detach,
    StdinOnce: options.interactive && !options.detach,
    HostConfig: { ...body.HostConfig, AutoRemove: options.remove },
  };
}
