import type { MountPoint, MountRequest } from "../../api/wire.ts";
import { TscomposeError } from "../../errors.ts";
import type { FileReference, Mount, Project, Service } from "../../spec/model.ts";

import { isGeneratedName } from "../names.ts";

import { count, defined } from "./quantities.ts";

export interface Mounts {
  /** `source:target:options`, for what needs nothing more: the engine makes a missing host folder. */
  readonly binds: readonly string[];
  readonly mounts: readonly MountRequest[];
}

/** Volumes, and the files of secrets and configs, each target once: what a service mounts there itself wins over a secret or
 *  config. `inherit`: mounts of the container that is replaced, whose anonymous volumes go on where nothing else is mounted;
 *  `imageVolumes`: paths that the image declares.
 *  Source: docker/compose `create.go`, buildContainerMountOptions; engine-api.md section 10.
 *  @throws request/unsupported for external secrets and configs and those of a driver. */
export function containerMounts(
  project: Project,
  spec: Service,
  { inherit, imageVolumes }: { readonly inherit: readonly MountPoint[]; readonly imageVolumes: readonly string[] },
): Mounts {
  const byTarget = new Map<string, string | MountRequest>();
  for (const mount of inherit) {
    const own = spec.volumes?.find(({ target }) => target === mount.Destination);
    const anonymous = own === undefined ? imageVolumes.includes(mount.Destination) : isAnonymous(own);
    if (!anonymous || mount.Type !== "volume" || !isGeneratedName(mount.Name ?? "")) continue;
    byTarget.set(mount.Destination, {
      Type: "volume",
      Source: mount.Name ?? "",
      Target: mount.Destination,
      ...(mount.RW ? {} : { ReadOnly: true }),
    });
  }
  for (const volume of spec.volumes ?? []) {
    const target = volume.target ?? "";
    if (isAnonymous(volume) && byTarget.has(target)) continue;
    byTarget.set(target, mountOf(project, volume));
  }
  for (const file of fileMounts(project, spec)) if (!byTarget.has(file.Target)) byTarget.set(file.Target, file);
  const all = [...byTarget.values()];
  return {
    binds: all.filter((entry) => typeof entry === "string"),
    mounts: all.filter((entry) => typeof entry !== "string"),
  };
}

function isAnonymous({ type, source }: Mount): boolean {
  return type === "volume" && source === undefined;
}

function mountOf(project: Project, volume: Mount): string | MountRequest {
  const source = sourceOf(project, volume);
  return shortForm(volume, source) ?? longForm(volume, source);
}

function sourceOf(project: Project, { type, source }: Mount): string | undefined {
  return type === "volume" && source !== undefined ? (project.volumes[source]?.name ?? source) : source;
}

/** Undefined where the old form cannot say it. A colon in a path would end the field. */
function shortForm(volume: Mount, source: string | undefined): string | undefined {
  const { type, target = "", read_only, bind } = volume;
  if (source === undefined || source.includes(":") || target.includes(":")) return undefined;
  const options = [read_only === true ? "ro" : "rw"];
  if (type === "bind") {
    if (bind?.create_host_path === false || bind?.propagation !== undefined || bind?.recursive !== undefined)
      return undefined;
    if (bind?.selinux !== undefined) options.push(bind.selinux);
  } else if (type === "volume") {
    const { labels, nocopy, subpath } = volume.volume ?? {};
    if (labels !== undefined || nocopy !== undefined || subpath !== undefined) return undefined;
  } else {
    return undefined;
  }
  return `${source}:${target}:${options.join(",")}`;
}

function longForm(volume: Mount, source: string | undefined): MountRequest {
  return defined<MountRequest>({
    Type: (volume.type ?? "volume") as MountRequest["Type"],
    Source: source,
    Target: volume.target ?? "",
    ReadOnly: volume.read_only,
    Consistency: volume.consistency,
    BindOptions: volume.type === "bind" ? bindOptions(volume) : undefined,
    VolumeOptions: volume.type === "volume" ? volumeOptions(volume) : undefined,
    TmpfsOptions: volume.type === "tmpfs" ? tmpfsOptions(volume) : undefined,
    ImageOptions: volume.image?.subpath === undefined ? undefined : { Subpath: volume.image.subpath },
  } as MountRequest);
}

function bindOptions({ bind }: Mount): MountRequest["BindOptions"] {
  return defined<NonNullable<MountRequest["BindOptions"]>>({
    Propagation: bind?.propagation,
    CreateMountpoint: bind?.create_host_path === false ? undefined : true,
    NonRecursive: bind?.recursive === "disabled" ? true : undefined,
    ReadOnlyNonRecursive: bind?.recursive === "writable" ? true : undefined,
    ReadOnlyForceRecursive: bind?.recursive === "readonly" ? true : undefined,
  } as NonNullable<MountRequest["BindOptions"]>);
}

function volumeOptions({ volume }: Mount): MountRequest["VolumeOptions"] {
  return defined<NonNullable<MountRequest["VolumeOptions"]>>({
    NoCopy: volume?.nocopy,
    Labels: volume?.labels,
    Subpath: volume?.subpath,
  } as NonNullable<MountRequest["VolumeOptions"]>);
}

function tmpfsOptions({ tmpfs }: Mount): MountRequest["TmpfsOptions"] {
  return defined<NonNullable<MountRequest["TmpfsOptions"]>>({
    SizeBytes: count(tmpfs?.size),
    Mode: tmpfs?.mode,
  } as NonNullable<MountRequest["TmpfsOptions"]>);
}

/** Secrets and configs that are files of the host: read-only binds, never made where missing. */
function fileMounts(project: Project, spec: Service): readonly MountRequest[] {
  return granted(project, spec)
    .filter(({ file }) => file !== undefined)
    .map(({ file, target }) => ({ Type: "bind", Source: file ?? "", Target: target, ReadOnly: true, BindOptions: {} }));
}

export interface Grant {
  readonly kind: "secret" | "config";
  readonly source: string;
  /** Absolute path in the container. */
  readonly target: string;
  readonly reference: FileReference;
  /** Of the host. */
  readonly file: string | undefined;
  /** Of one that is given as text or comes from the environment. */
  readonly content: string | undefined;
  readonly environment: string | undefined;
}

/** What a service is given, secrets first. */
export function granted(project: Project, spec: Service): readonly Grant[] {
  return [
    ...(spec.secrets ?? []).map((reference) => grant("secret", reference, project)),
    ...(spec.configs ?? []).map((reference) => grant("config", reference, project)),
  ];
}

function grant(kind: Grant["kind"], reference: FileReference, project: Project): Grant {
  const source = reference.source ?? "";
  const definition = (kind === "secret" ? project.secrets : project.configs)[source];
  const refused =
    definition?.external === true
      ? "external"
      : definition?.driver !== undefined
        ? "driver"
        : definition?.template_driver !== undefined
          ? "template_driver"
          : undefined;
  if (refused !== undefined) {
    throw new TscomposeError(
      "request/unsupported",
      `${kind} ${source}: "${refused}" needs a swarm, and there is none`,
      {
        hint: `give the ${kind} a "file", "environment" or "content"`,
      },
    );
  }
  const base = kind === "secret" ? "/run/secrets/" : "/";
  const target = reference.target ?? source;
  return {
    kind,
    source,
    target: target.startsWith("/") ? target : base + target,
    reference,
    file: definition?.file,
    content: definition?.content,
    environment: definition?.environment,
  };
}
