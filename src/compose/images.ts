import { isTscomposeError } from "../errors.ts";
import type { ImageInspect } from "../api/wire.ts";
import { observeContainers } from "../planner/observe.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices } from "./select.ts";

export interface ImageRow {
  readonly container: string;
  readonly id: string;
  readonly repository: string;
  readonly tag: string;
  /** `linux/amd64`. */
  readonly platform: string;
  readonly sizeBytes: number;
  /** RFC 3339. */
  readonly created: string;
  readonly lastTagTime: string;
}

/** The image of each container of the project, by container name. One whose image was removed is left out. */
export async function images(
  context: ComposeContext,
  reference: ProjectReference,
  services: readonly string[],
): Promise<readonly ImageRow[]> {
  const containers = await observeContainers(context.docker, reference.name, context.signal);
  checkServices(reference, containers, services);
  const meant = containers.filter(({ service }) => services.length === 0 || services.includes(service));
  const inspects = new Map<string, Promise<ImageInspect | undefined>>();
  for (const { image } of meant) if (!inspects.has(image)) inspects.set(image, inspectImage(context, image));
  const rows = await Promise.all(
    meant.map(async ({ name, image }): Promise<ImageRow | undefined> => {
      const inspect = await inspects.get(image);
      return inspect === undefined ? undefined : { container: name, ...splitReference(image), ...facts(inspect) };
    }),
  );
  return rows.filter((row) => row !== undefined);
}

async function inspectImage({ docker, signal }: ComposeContext, image: string): Promise<ImageInspect | undefined> {
  try {
    return await docker.getImage(image).inspect({ abortSignal: signal });
  } catch (error) {
    if (isTscomposeError(error, "image/not-found")) return undefined;
    throw error;
  }
}

function facts(inspect: ImageInspect): Omit<ImageRow, "container" | "repository" | "tag"> {
  const { Id, Os, Architecture, Variant, Size, Created, Metadata } = inspect;
  const variant = Variant === undefined || Variant === "" ? "" : `/${Variant}`;
  return {
    id: Id,
    platform: `${Os}/${Architecture}${variant}`,
    sizeBytes: Size,
    created: Created,
    lastTagTime: Metadata.LastTagTime,
  };
}

/** A bare id has neither. */
function splitReference(image: string): { readonly repository: string; readonly tag: string } {
  if (/^(sha256:)?[0-9a-f]{12,64}$/.test(image)) return { repository: "<none>", tag: "<none>" };
  const at = image.indexOf("@");
  const named = at < 0 ? image : image.slice(0, at);
  const colon = named.lastIndexOf(":");
  if (colon > named.lastIndexOf("/")) return { repository: named.slice(0, colon), tag: named.slice(colon + 1) };
  return { repository: named, tag: at < 0 ? "latest" : "<none>" };
}
