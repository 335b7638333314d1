/** Makes an image of a container. Source: Docker Engine's commit: what the request says goes over the container's configuration. */
import type { CommitOptions } from "../engine.ts";
import { containerAttributes } from "../events.ts";
import type { ContainerConfig } from "../types.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { mergeConfig } from "./create/image-config.ts";

/** The part of a container's configuration that an image has. Source: OCI image-spec config.md and Docker's additions to it. */
const imageKeys = [
  "ArgsEscaped",
  "Cmd",
  "Entrypoint",
  "Env",
  "ExposedPorts",
  "Healthcheck",
  "Labels",
  "OnBuild",
  "Shell",
  "StopSignal",
  "User",
  "Volumes",
  "WorkingDir",
] as const satisfies readonly (keyof ContainerConfig)[];

/** The container does not run, or is frozen, or its files may change meanwhile. @throws request/invalid, image/* */
export async function commitContainer(
  ctx: ContainerContext,
  container: Container,
  options: CommitOptions,
): Promise<{ readonly Id: string }> {
  const { record, paths } = container;
  const asked = options.config;
  const config = asked === undefined ? record.config : mergeConfig(asked, record.config, container.id);
  const Id = await ctx.userNamespaces.asInside(record.userNamespace, paths.upper, async (upperDir) =>
    ctx.images.commitChanges({
      baseImageId: record.imageId,
      upperDir,
      config: imageConfig(config),
      changes: options.changes,
      createdBy: [record.path, ...record.args].join(" "),
      author: options.author,
      comment: options.comment,
      reference: options.reference,
    }),
  );
  const { comment, reference } = options;
  const attributes = containerAttributes(container.record, { comment, imageID: Id, imageRef: reference });
  ctx.publish({ type: "container", action: "commit", id: container.id, attributes });
  return { Id };
}

function imageConfig(config: ContainerConfig): ContainerConfig {
  const given = imageKeys.filter((key) => config[key] !== undefined);
  return Object.fromEntries(given.map((key) => [key, config[key]]));
}
