/** What the engine has, as far as one project is concerned. Plain data: labels are parsed once, here, so that deciding needs
 *  no further look at them. */
import type {
  ContainerInspect,
  ContainerStatus,
  ContainerSummary,
  HealthStatus,
  ImageInspect,
  Labels,
  MountPoint,
  NetworkInspect,
  VolumeInspect,
} from "../api/wire.ts";

import { type DependencyLabel, label, parseDependencies } from "./labels.ts";

export interface ObservedContainer {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly service: string;
  /** 0 for one-offs. */
  readonly number: number;
  readonly oneoff: boolean;
  readonly state: ContainerStatus;
  readonly health: HealthStatus;
  /** Of an ended container. */
  readonly exitCode: number | undefined;
  readonly configHash: string | undefined;
  /** Content digest of the image it was made from. */
  readonly imageDigest: string | undefined;
  readonly imageVolumeDigest: string | undefined;
  readonly image: string;
  readonly networkMode: string;
  readonly networks: readonly { readonly name: string; readonly id: string }[];
  readonly mounts: readonly MountPoint[];
  readonly dependsOn: readonly DependencyLabel[];
  /** Unix seconds. */
  readonly created: number;
  readonly labels: Labels;
  /** Only of containers whose configuration diverges: what to explain the difference from. */
  readonly inspect?: ContainerInspect;
}

export interface ObservedNetwork {
  readonly id: string;
  readonly name: string;
  readonly project: string | undefined;
  readonly key: string | undefined;
  readonly configHash: string | undefined;
  /** Subnets of the host that overlap the network's. */
  readonly overlaps: readonly string[];
}

export interface ObservedVolume {
  readonly name: string;
  readonly project: string | undefined;
  readonly key: string | undefined;
  readonly configHash: string | undefined;
}

export interface ObservedImage {
  /** As asked for. */
  readonly reference: string;
  readonly digest: string;
  /** Declared with `VOLUME`. */
  readonly volumes: readonly string[];
  readonly inspect: ImageInspect;
}

export interface ObservedState {
  /** Of this project, by name, one-offs included. */
  readonly containers: readonly ObservedContainer[];
  /** All of the engine: an external or foreign one may be meant. */
  readonly networks: readonly ObservedNetwork[];
  readonly volumes: readonly ObservedVolume[];
  /** By reference; absent: not on this engine. */
  readonly images: ReadonlyMap<string, ObservedImage>;
}

export function observedContainer(summary: ContainerSummary): ObservedContainer {
  const labels = summary.Labels;
  const oneoff = labels[label.oneoff] === "True";
  const exit = /^Exited \((\d+)\)/.exec(summary.Status)?.[1];
  return {
    id: summary.Id,
    name: (summary.Names[0] ?? summary.Id).replace(/^\//, ""),
    service: labels[label.service] ?? "",
    number: oneoff ? 0 : Number(labels[label.number] ?? 0) || 0,
    oneoff,
    state: summary.State,
    health: summary.Health?.Status ?? healthOfStatus(summary.Status),
    exitCode: exit === undefined ? undefined : Number(exit),
    configHash: labels[label.configHash],
    imageDigest: labels[label.image],
    imageVolumeDigest: labels[label.imageVolumeDigest],
    image: summary.Image,
    networkMode: summary.HostConfig.NetworkMode,
    networks: Object.entries(summary.NetworkSettings.Networks).map(([name, { NetworkID }]) => ({
      name,
      id: NetworkID ?? "",
    })),
    mounts: summary.Mounts,
    dependsOn: parseDependencies(labels[label.dependsOn]),
    created: summary.Created,
    labels,
  };
}

/** Engines before API 1.52 say it only in the status text: `Up 2 seconds (healthy)`, `(health: starting)`. */
function healthOfStatus(status: string): HealthStatus {
  if (status.endsWith("(healthy)")) return "healthy";
  if (status.endsWith("(unhealthy)")) return "unhealthy";
  return status.endsWith("(health: starting)") ? "starting" : "none";
}

export function observedNetwork(network: NetworkInspect): ObservedNetwork {
  const labels = network.Labels ?? {};
  return {
    id: network.Id,
    name: network.Name,
    project: labels[label.project],
    key: labels[label.network],
    configHash: labels[label.configHash],
    overlaps: network.Overlaps ?? [],
  };
}

export function observedVolume(volume: VolumeInspect): ObservedVolume {
  const labels = volume.Labels ?? {};
  return {
    name: volume.Name,
    project: labels[label.project],
    key: labels[label.volume],
    configHash: labels[label.configHash],
  };
}

/** `digest`: of the runnable content where the engine lists manifests, since the outer index also covers attestations, which
 *  change with every build; else the image id. Source: docker/compose `contentDigest`. */
export function observedImage(
  reference: string,
  inspect: ImageInspect & { readonly Manifests?: unknown },
): ObservedImage {
  return {
    reference,
    digest: contentDigest(inspect.Manifests) ?? inspect.Id,
    volumes: Object.keys(inspect.Config?.Volumes ?? {}),
    inspect,
  };
}

function contentDigest(manifests: unknown): string | undefined {
  if (!Array.isArray(manifests)) return undefined;
  for (const manifest of manifests as readonly unknown[]) {
    if (typeof manifest !== "object" || manifest === null) continue;
    if ("Kind" in manifest && manifest.Kind === "image" && "ID" in manifest && typeof manifest.ID === "string")
      return manifest.ID;
  }
  return undefined;
}
