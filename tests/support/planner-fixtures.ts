/** Projects and observed states for tests of the planner. */
import { serviceConfigHash, networkConfigHash, volumeConfigHash } from "../../src/spec/config-hash.ts";
import type { Network, Project, Service, Volume } from "../../src/spec/model.ts";
import { containerName, imageName } from "../../src/planner/names.ts";
import type { ObservedContainer, ObservedImage, ObservedState } from "../../src/planner/observed.ts";
import { resolveReferences } from "../../src/planner/resolve-references.ts";

type Parts<T> = Readonly<Record<string, Partial<T>>>;

export interface ProjectParts {
  readonly services: Parts<Service>;
  readonly disabledServices?: Parts<Service>;
  readonly networks?: Parts<Network>;
  readonly volumes?: Parts<Volume>;
  readonly configs?: Project["configs"];
  readonly secrets?: Project["secrets"];
}

/** A project "app" whose services run busybox on the default network unless they say otherwise. */
export function aProject(parts: ProjectParts): Project {
  const networks = parts.networks ?? { default: {} };
  return {
    name: "app",
    workingDir: "/srv/app",
    composeFiles: ["/srv/app/compose.yaml"],
    environment: {},
    envFiles: [],
    profiles: [],
    separator: "-",
    services: mapValues(parts.services, aService),
    disabledServices: mapValues(parts.disabledServices ?? {}, aService),
    networks: mapValues(networks, (network, key) => ({ name: `app_${key}`, ipam: {}, ...network })),
    volumes: mapValues(parts.volumes ?? {}, (volume, key) => ({ name: `app_${key}`, ...volume })),
    secrets: parts.secrets ?? {},
    configs: parts.configs ?? {},
    models: {},
    extensions: {},
  };
}

export function aService(parts: Partial<Service> = {}): Service {
  const attached = parts.network_mode === undefined ? { networks: { default: null } } : {};
  return { command: null, entrypoint: null, image: "busybox", ...attached, ...parts };
}

function mapValues<In, Out>(
  record: Readonly<Record<string, In>>,
  change: (value: In, key: string) => Out,
): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value, key)]));
}

export const nothing: ObservedState = { containers: [], networks: [], volumes: [], images: new Map() };

/** Everything as the project wants it, running, one observation after an `up`. */
export function upToDate(project: Project): ObservedState {
  const containers: ObservedContainer[] = [];
  const idOf = (service: string): string | undefined => containers.find((one) => one.service === service)?.id;
  for (const [service, spec] of dependenciesFirst(project)) {
    const count = spec.scale ?? spec.deploy?.replicas ?? 1;
    for (let number = 1; number <= count; number += 1) {
      containers.push(
        aContainer({
          id: fakeId(`${service}${number}`),
          name: containerName(project, service, spec, number),
          service,
          number,
          image: imageName(project, service, spec),
          configHash: serviceConfigHash(resolveReferences(spec, idOf)),
          networks: Object.keys(spec.networks ?? {}).map((key) => ({
            name: project.networks[key]?.name ?? key,
            id: fakeId(`network ${key}`),
          })),
          mounts: (spec.volumes ?? [])
            .filter(({ type }) => type === "volume")
            .map(({ source, target = "" }) => ({
              Type: "volume" as const,
              Name: source === undefined ? fakeId(`anonymous ${target}`) : (project.volumes[source]?.name ?? source),
              Source: "/var/lib",
              Destination: target,
              Mode: "",
              RW: true,
              Propagation: "",
            })),
        }),
      );
    }
  }
  return {
    containers: containers.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    networks: Object.entries(project.networks).map(([key, network]) => ({
      id: fakeId(`network ${key}`),
      name: network.name ?? key,
      project: project.name,
      key,
      configHash: networkConfigHash(network),
      overlaps: [],
    })),
    volumes: Object.entries(project.volumes).map(([key, volume]) => ({
      name: volume.name ?? key,
      project: project.name,
      key,
      configHash: volumeConfigHash(volume),
    })),
    images: imagesOf(project),
  };
}

function dependenciesFirst(project: Project): readonly (readonly [string, Service])[] {
  const rank = ([, spec]: readonly [string, Service]): number =>
    Number(JSON.stringify(spec).includes("service:") || spec.volumes_from !== undefined);
  return Object.entries(project.services).toSorted((a, b) => rank(a) - rank(b));
}

export function imagesOf(project: Project): ReadonlyMap<string, ObservedImage> {
  const references = Object.entries(project.services).map(([name, spec]) => imageName(project, name, spec));
  return new Map(references.map((reference) => [reference, anImage(reference)]));
}

export function anImage(reference: string, parts: Partial<ObservedImage> = {}): ObservedImage {
  const inspect = { Id: "sha256:1", Config: {} } as unknown as ObservedImage["inspect"];
  return { reference, digest: "sha256:1", volumes: [], inspect, ...parts };
}

export function aContainer(
  parts: Partial<ObservedContainer> & Pick<ObservedContainer, "name" | "service">,
): ObservedContainer {
  return {
    id: fakeId(parts.name),
    number: 1,
    oneoff: false,
    state: "running",
    health: "none",
    exitCode: undefined,
    configHash: "other",
    imageDigest: "sha256:1",
    imageVolumeDigest: undefined,
    image: "busybox",
    networkMode: "app_default",
    networks: [],
    mounts: [],
    dependsOn: [],
    created: 0,
    labels: {},
    ...parts,
  };
}

/** 64 hex digits that are the same for the same text. */
export function fakeId(text: string): string {
  return Buffer.from(text).toString("hex").padEnd(64, "0").slice(0, 64);
}

/** The state with one container changed. */
export function withContainer(
  state: ObservedState,
  name: string,
  change: Partial<ObservedContainer> | undefined,
): ObservedState {
  const containers = state.containers.flatMap((container) =>
    container.name !== name ? [container] : change === undefined ? [] : [{ ...container, ...change }],
  );
  return { ...state, containers };
}
