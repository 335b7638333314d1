/** What an engine would be like after a plan: containers, networks and volumes as values. Healthchecks succeed at once. */
import { createBody } from "../../src/planner/create-body/create-body.ts";
import { label } from "../../src/planner/labels.ts";
import type { ObservedContainer, ObservedNetwork, ObservedState, ObservedVolume } from "../../src/planner/observed.ts";
import type { ContainerRef } from "../../src/planner/operation.ts";
import type { Plan } from "../../src/planner/plan.ts";
import { resolveReferences } from "../../src/planner/resolve-references.ts";
import type { Project } from "../../src/spec/model.ts";

let counter = 0;

/** @throws when an operation is impossible: a name in use, a network that is not there, the removal of one that is in use. */
export function simulate(project: Project, observed: ObservedState, plan: Plan): ObservedState {
  const containers = new Map(observed.containers.map((container) => [container.id, container]));
  const networks = new Map(observed.networks.map((network) => [network.name, network]));
  const volumes = new Map(observed.volumes.map((volume) => [volume.name, volume]));
  const created = new Map<number, string>();
  const idOf = (ref: ContainerRef): string =>
    ref.kind === "existing" ? ref.id : (created.get(ref.node) ?? must(`node ${ref.node}`));
  const change = (ref: ContainerRef, parts: Partial<ObservedContainer>): void => {
    const container = containers.get(idOf(ref)) ?? must(`container ${ref.name}`);
    containers.set(container.id, { ...container, ...parts });
  };
  for (const { id: node, operation } of plan.nodes) {
    switch (operation.kind) {
      case "create-network":
        if (networks.has(operation.name)) must(`no network ${operation.name}`);
        networks.set(operation.name, networkOf(operation.name, operation.body.Labels ?? {}));
        break;
      case "remove-network":
        for (const { networks: attached } of containers.values()) {
          if (attached.some(({ name }) => name === operation.name)) must(`network ${operation.name} to be unused`);
        }
        networks.delete(operation.name);
        break;
      case "create-volume":
        volumes.set(operation.name, volumeOf(operation.name, operation.body.Labels ?? {}));
        break;
      case "remove-volume":
        volumes.delete(operation.name);
        break;
      case "create-container": {
        const spec = project.services[operation.service] ?? must(`service ${operation.service}`);
        if ([...containers.values()].some(({ name }) => name === operation.initialName))
          must(`name ${operation.initialName} free`);
        const references = new Map([...operation.references].map(([service, ref]) => [service, idOf(ref)]));
        const body = createBody({
          project,
          service: operation.service,
          spec: resolveReferences(spec, (service) => references.get(service)),
          number: operation.number,
          name: operation.name,
          inherit: operation.inherit,
          imageVolumes: [],
          profiles: new Map(),
          linked: operation.linked,
          labels: { [label.image]: "sha256:1" },
        });
        counter += 1;
        const id = counter.toString(16).padStart(64, "0").split("").toReversed().join("");
        created.set(node, id);
        containers.set(id, {
          id,
          name: operation.initialName,
          service: operation.service,
          number: operation.number,
          oneoff: false,
          state: "created",
          health: "healthy",
          exitCode: undefined,
          configHash: body.Labels?.[label.configHash],
          imageDigest: "sha256:1",
          imageVolumeDigest: undefined,
          image: body.Image ?? "",
          networkMode: body.HostConfig?.NetworkMode ?? "",
          networks: Object.keys(body.NetworkingConfig?.EndpointsConfig ?? {}).map((name) => ({
            name,
            id: networks.get(name)?.id ?? must(`network ${name}`),
          })),
          mounts: (body.HostConfig?.Binds ?? []).map((bind) => ({
            Type: "volume" as const,
            Name: bind.split(":")[0] ?? "",
            Source: "",
            Destination: bind.split(":")[1] ?? "",
            Mode: "",
            RW: true,
            Propagation: "",
          })),
          dependsOn: [],
          created: counter,
          labels: body.Labels ?? {},
        });
        break;
      }
      case "start-container":
        change(operation.container, { state: "running" });
        break;
      case "stop-container":
        change(operation.container, { state: "exited", exitCode: 0 });
        break;
      case "remove-container":
        containers.delete(idOf(operation.container));
        break;
      case "rename-container":
        if ([...containers.values()].some(({ name }) => name === operation.name)) must(`name ${operation.name} free`);
        change(operation.container, { name: operation.name });
        break;
      case "connect-network": {
        const container = containers.get(idOf(operation.container)) ?? must("container");
        const id = networks.get(operation.network)?.id ?? must(`network ${operation.network}`);
        change(operation.container, { networks: [...container.networks, { name: operation.network, id }] });
        break;
      }
      case "disconnect-network": {
        const container = containers.get(idOf(operation.container)) ?? must("container");
        change(operation.container, { networks: container.networks.filter(({ name }) => name !== operation.network) });
        break;
      }
      case "remove-image":
      case "wait-service":
      case "run-hook":
      case "run-pre-start":
        break;
    }
  }
  return {
    containers: [...containers.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    networks: [...networks.values()],
    volumes: [...volumes.values()],
    images: observed.images,
  };
}

function networkOf(name: string, labels: Readonly<Record<string, string>>): ObservedNetwork {
  counter += 1;
  const { [label.project]: project, [label.network]: key, [label.configHash]: configHash } = labels;
  return { id: `network-${counter}`, name, project, key, configHash, overlaps: [] };
}

function volumeOf(name: string, labels: Readonly<Record<string, string>>): ObservedVolume {
  const { [label.project]: project, [label.volume]: key, [label.configHash]: configHash } = labels;
  return { name, project, key, configHash };
}

function must(what: string): never {
  throw new Error(`the engine expected ${what}`);
}
