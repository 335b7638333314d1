/** Service -> body of `POST /containers/create`. Pure: files, ids and digests come as arguments.
 *  Source: docker/compose `create.go`; reference of the mapping: engine-api.md section 10. */
import type { ContainerCreateBody, Labels, MountPoint } from "../../api/wire.ts";
import { serviceConfigHash } from "../../spec/config-hash.ts";
import type { Project, Service } from "../../spec/model.ts";
import { composeVersion, formatDependencies, label } from "../labels.ts";
import { imageName } from "../names.ts";

import { containerConfig } from "./config.ts";
import { hostConfig } from "./host-config.ts";
import { networking } from "./networking.ts";

export interface CreateBodyInput {
  readonly project: Project;
  readonly service: string;
  /** References to other services are ids already. */
  readonly spec: Service;
  /** 0: a one-off, which has no number. */
  readonly number: number;
  readonly name: string;
  readonly inherit: readonly MountPoint[];
  readonly imageVolumes: readonly string[];
  readonly profiles: ReadonlyMap<string, string>;
  /** Service -> names of its containers, for `links`. */
  readonly linked: ReadonlyMap<string, readonly string[]>;
  /** On top of what the model gives: image digest, replaced container, one-off's slug. */
  readonly labels: Labels;
  readonly aliases?: "all" | "name";
}

export function createBody(input: CreateBodyInput): ContainerCreateBody {
  const { project, service, spec, number, name } = input;
  const links = linkList(input);
  const { networkMode, endpoints } = networking(project, {
    service,
    spec,
    name,
    links,
    ...(input.aliases === undefined ? {} : { aliases: input.aliases }),
  });
  const labels: Labels = {
    ...spec.labels,
    [label.project]: project.name,
    [label.service]: service,
    [label.version]: composeVersion,
    [label.workingDir]: project.workingDir,
    [label.configFiles]: project.composeFiles.join(","),
    ...(project.envFiles.length === 0 ? {} : { [label.environmentFile]: project.envFiles.join(",") }),
    [label.oneoff]: number === 0 ? "True" : "False",
    [label.configHash]: serviceConfigHash(spec),
    [label.dependsOn]: formatDependencies(spec.depends_on),
    ...(number === 0 ? {} : { [label.number]: String(number) }),
    ...input.labels,
  };
  return {
    ...containerConfig(spec, imageName(project, service, spec), labels),
    HostConfig: hostConfig({ ...input, networkMode, links }),
    ...(endpoints === undefined ? {} : { NetworkingConfig: { EndpointsConfig: endpoints } }),
  };
}

/** `container:alias` for each container of a linked service, under the alias, `<service>-<n>` and `<project>-<service>-<n>`;
 *  external ones as given. Source: docker/compose `convergence.go`, getLinks. */
function linkList({ project, spec, linked, number }: CreateBodyInput): readonly string[] {
  const { name, separator } = project;
  const own = (spec.links ?? []).flatMap((link) => {
    const [service = link, alias = service] = link.split(":");
    return (linked.get(service) ?? []).flatMap((container) => [
      `${container}:${alias}`,
      `${container}:${service}${separator}${number}`,
      `${container}:${name}${separator}${service}${separator}${number}`,
    ]);
  });
  const external = (spec.external_links ?? []).map((link) => (link.includes(":") ? link : `${link}:${link}`));
  return [...own, ...external];
}
