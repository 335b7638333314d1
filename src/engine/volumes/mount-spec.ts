/** What a create request says about mounts -> a list of wanted mounts, one a destination. Pure: looks at no file and makes no
 *  volume. Errors carry Docker's texts. Source: Docker Engine API HostConfig (Binds, Mounts, Tmpfs, VolumesFrom), engine-api.md 10. */
import { posix } from "node:path";
import { TscomposeError } from "../../errors.ts";
import type { ResolvedMount } from "../containers/record.ts";
import type { HostConfig, MountRequest } from "../types.ts";
import { parseBindMode, type BindMode } from "./bind-mode.ts";
import { tmpfsOptions, tmpfsRequestOptions } from "./tmpfs-options.ts";

export type WantedMount = { readonly target: string } & (
  | {
      readonly kind: "bind";
      readonly source: string;
      readonly mode: BindMode;
      readonly modeText: string;
      readonly recursive: boolean;
      /** Read-only for submounts too. */
      readonly recursiveReadOnly: boolean;
      /** Make the directory on the host when it is missing, instead of refusing. */
      readonly createSource: boolean;
    }
  | {
      readonly kind: "volume";
      /** Undefined: a new anonymous one. */
      readonly name: string | undefined;
      readonly mode: BindMode;
      readonly modeText: string;
      readonly labels: Readonly<Record<string, string>> | undefined;
      readonly driver: string | undefined;
      readonly driverOptions: Readonly<Record<string, string>> | undefined;
      readonly subpath: string | undefined;
    }
  | { readonly kind: "tmpfs"; readonly options: readonly string[]; readonly readOnly: boolean }
  | { readonly kind: "image"; readonly reference: string; readonly subpath: string | undefined }
  | { readonly kind: "inherited"; readonly mount: ResolvedMount }
);

export interface MountWishes {
  readonly hostConfig: HostConfig;
  /** `Volumes` of the container's configuration merged with the image's: its keys are paths. */
  readonly imageVolumes: readonly string[];
  /** Mounts of the container that `VolumesFrom` names. @throws container/not-found */
  readonly mountsOf: (ref: string) => readonly ResolvedMount[];
}

/** One wanted mount a destination, outer destinations before inner ones.
 *  @throws request/invalid, request/unsupported, container/not-found */
export function wantedMounts(wishes: MountWishes): readonly WantedMount[] {
  const { hostConfig } = wishes;
  const own = [
    ...(hostConfig.Binds ?? []).map((text) => fromBind(text, hostConfig.VolumeDriver)),
    ...(hostConfig.Mounts ?? []).map(fromRequest),
    ...Object.entries(hostConfig.Tmpfs ?? {}).map(([target, text]): WantedMount => fromTmpfs(target, text)),
  ];
  const byTarget = new Map<string, WantedMount>();
  for (const mount of own) {
    if (byTarget.has(mount.target)) throw invalid(`Duplicate mount point: ${mount.target}`);
    byTarget.set(mount.target, mount);
  }
  for (const spec of hostConfig.VolumesFrom ?? []) {
    for (const mount of fromContainer(spec, wishes.mountsOf)) {
      if (!byTarget.has(mount.target)) byTarget.set(mount.target, mount);
    }
  }
  for (const path of wishes.imageVolumes) {
    // An image cannot name a place outside of its root, whatever it writes.
    const target = posix.normalize(`/${path}`).replace(/(.)\/$/, "$1");
    if (!byTarget.has(target)) byTarget.set(target, anonymousVolume(target));
  }
  for (const target of byTarget.keys()) checkTarget(target, hostConfig);
  return [...byTarget.values()].toSorted((a, b) => depth(a.target) - depth(b.target));
}

const depth = (target: string): number => target.split("/").length;

/** Files below /proc that tools like lxcfs provide; the runtimes accept no others. */
const allowedInProc: readonly string[] = [
  "/proc/cpuinfo",
  "/proc/diskstats",
  "/proc/meminfo",
  "/proc/stat",
  "/proc/swaps",
  "/proc/uptime",
  "/proc/loadavg",
  "/proc/slabinfo",
];

/** True where a mount would take the confinement of the runtime away, which masks and protects paths below /proc, /sys and /dev
 *  (security.md section 0, row C; CVE-2019-16884, CVE-2025-31133). A privileged container has none to lose. */
export function isReservedTarget(target: string, privileged: boolean): boolean {
  if (target === "/" || target === "/proc") return true;
  if (target.startsWith("/proc/")) return !allowedInProc.includes(target);
  return !privileged && (target === "/dev" || target === "/sys");
}

function checkTarget(target: string, hostConfig: HostConfig): void {
  if (target === "/") throw invalid("invalid specification: destination can't be '/'");
  if (!isReservedTarget(target, hostConfig.Privileged === true)) return;
  throw new TscomposeError(
    "request/invalid",
    `invalid mount path: '${target}' is reserved for the container's own kernel files`,
    {
      hint: `mount below another path (for example /host${target}), or name single files and devices`,
    },
  );
}

function invalid(message: string): TscomposeError {
  return new TscomposeError("request/invalid", message);
}

function cleanTarget(target: string): string {
  return posix.normalize(target).replace(/(.)\/$/, "$1");
}

const defaultMode = parseBindMode("") as BindMode;

function anonymousVolume(target: string): WantedMount {
  return { ...plainVolume, target };
}

const plainVolume = {
  kind: "volume",
  name: undefined,
  mode: defaultMode,
  modeText: "",
  labels: undefined,
  driver: undefined,
  driverOptions: undefined,
  subpath: undefined,
} as const;

/** `source:target[:mode]`, where a source that is no absolute path is a volume's name; a lone `target` is an anonymous volume. */
function fromBind(text: string, volumeDriver: string | undefined): WantedMount {
  const parts = text.split(":");
  const [first = "", second, third] = parts;
  const spec = `invalid volume specification: '${text}'`;
  if (parts.length > 3 || first === "") throw invalid(spec);
  if (second === undefined) return { ...plainVolume, target: requireAbsolute(first, spec, "volume") };
  if (third === undefined && parseBindMode(second) !== undefined) throw invalid(spec);
  const mode = parseBindMode(third ?? "");
  if (mode === undefined) throw invalid(`invalid mode: ${third}`);
  const modeText = third ?? "";
  if (!first.startsWith("/")) {
    if (mode.propagation !== undefined) throw invalid(`invalid mode: ${third}`);
    const target = requireAbsolute(second, spec, "volume");
    const driver = volumeDriver === undefined || volumeDriver === "" ? undefined : volumeDriver;
    return { ...plainVolume, target, name: first, mode, modeText, driver };
  }
  if (mode.noCopy) throw invalid(`invalid mode: ${third}`);
  return {
    kind: "bind",
    target: requireAbsolute(second, spec, "bind"),
    source: cleanTarget(first),
    mode,
    modeText,
    recursive: true,
    recursiveReadOnly: true,
    createSource: true,
  };
}

function requireAbsolute(target: string, prefix: string, type: string): string {
  if (target === "") throw invalid(prefix);
  if (!target.startsWith("/")) {
    throw invalid(
      `${prefix}: invalid mount config for type "${type}": invalid mount path: '${target}' mount path must be absolute`,
    );
  }
  if (cleanTarget(target) === "/") throw invalid(`${prefix}: invalid specification: destination can't be '/'`);
  return cleanTarget(target);
}

function fromRequest(request: MountRequest): WantedMount {
  const refuse = (reason: string): never => {
    throw invalid(`invalid mount config for type "${request.Type}": ${reason}`);
  };
  if ((request.Target ?? "") === "") refuse("field Target must not be empty");
  if (!request.Target.startsWith("/")) refuse(`invalid mount path: '${request.Target}' mount path must be absolute`);
  const target = cleanTarget(request.Target);
  if (target === "/") refuse("invalid specification: destination can't be '/'");
  const source = request.Source ?? "";
  const fields = {
    bind: "BindOptions",
    volume: "VolumeOptions",
    tmpfs: "TmpfsOptions",
    image: "ImageOptions",
  } as const;
  for (const [type, field] of Object.entries(fields)) {
    const given = request[field];
    if (type !== request.Type && given !== undefined && given !== null) refuse(`field ${field} must not be specified`);
  }
  switch (request.Type) {
    case "bind":
      return bindRequest(request, { source, target, refuse });
    case "volume":
      return volumeRequest(request, { source, target, refuse });
    case "tmpfs":
      if (source !== "") refuse("field Source must not be specified");
      return {
        kind: "tmpfs",
        target,
        options: tmpfsRequestOptions(request, refuse),
        readOnly: request.ReadOnly === true,
      };
    case "image":
      if (source === "") refuse("field Source must not be empty");
      return { kind: "image", target, reference: source, subpath: checkSubpath(request.ImageOptions?.Subpath, refuse) };
    case "npipe":
    case "cluster":
      throw new TscomposeError("request/unsupported", `mount type "${request.Type}" is not supported on Linux hosts`);
    default:
      return refuse("mount type unknown");
  }
}

interface RequestContext {
  readonly source: string;
  readonly target: string;
  readonly refuse: (reason: string) => never;
}

function bindRequest(request: MountRequest, { source, target, refuse }: RequestContext): WantedMount {
  const options = request.BindOptions;
  if (source === "") refuse("field Source must not be empty");
  if (!source.startsWith("/")) refuse(`invalid mount path: '${source}' mount path must be absolute`);
  const propagation = options?.Propagation ?? "";
  const mode = parseBindMode(propagation);
  if (mode === undefined || (propagation !== "" && mode.propagation === undefined)) {
    return refuse(`invalid propagation mode: ${propagation}`);
  }
  const readOnly = request.ReadOnly === true;
  if (options?.ReadOnlyNonRecursive === true && !readOnly) refuse("mode must be readonly to set ReadOnlyNonRecursive");
  if (options?.ReadOnlyForceRecursive === true && !readOnly)
    refuse("mode must be readonly to set ReadOnlyForceRecursive");
  return {
    kind: "bind",
    target,
    source: cleanTarget(source),
    mode: { ...mode, readOnly },
    modeText: "",
    recursive: options?.NonRecursive !== true,
    recursiveReadOnly: options?.ReadOnlyNonRecursive !== true,
    createSource: options?.CreateMountpoint === true,
  };
}

function volumeRequest(request: MountRequest, { source, target, refuse }: RequestContext): WantedMount {
  const options = request.VolumeOptions;
  const readOnly = request.ReadOnly === true;
  if (source === "" && readOnly) refuse("must not set ReadOnly mode when using anonymous volumes");
  if (source === "" && (options?.Subpath ?? "") !== "") refuse("must not set Subpath when using anonymous volumes");
  return {
    kind: "volume",
    target,
    name: source === "" ? undefined : source,
    mode: { ...defaultMode, readOnly, noCopy: options?.NoCopy === true },
    modeText: "",
    labels: options?.Labels,
    driver: options?.DriverConfig?.Name,
    driverOptions: options?.DriverConfig?.Options,
    subpath: checkSubpath(options?.Subpath, refuse),
  };
}

function checkSubpath(subpath: string | undefined, refuse: (reason: string) => never): string | undefined {
  if (subpath === undefined || subpath === "") return undefined;
  const clean = posix.normalize(subpath);
  if (subpath.startsWith("/") || clean === ".." || clean.startsWith("../")) {
    refuse("subpath must be a relative path within the volume");
  }
  return clean;
}

function fromTmpfs(target: string, text: string): WantedMount {
  if (!target.startsWith("/")) throw invalid(`invalid mount path: '${target}' mount path must be absolute`);
  if (cleanTarget(target) === "/") throw invalid("invalid specification: destination can't be '/'");
  const options = tmpfsOptions(text);
  return {
    kind: "tmpfs",
    target: cleanTarget(target),
    options: options.filter((option) => option !== "ro"),
    readOnly: options.includes("ro"),
  };
}

/** `container[:ro|rw]`. */
function fromContainer(spec: string, mountsOf: MountWishes["mountsOf"]): readonly WantedMount[] {
  const [ref = "", modeText = "", ...rest] = spec.split(":");
  if (ref === "" || rest.length > 0) throw invalid(`invalid volumes-from specification: '${spec}'`);
  const mode = parseBindMode(modeText);
  if (mode === undefined || mode.propagation !== undefined || mode.noCopy) throw invalid(`invalid mode: ${modeText}`);
  return mountsOf(ref)
    .filter(({ Type }) => Type === "bind" || Type === "volume")
    .map((mount) => ({ kind: "inherited", target: mount.Destination, mount: inherit(mount, mode.readOnly) }));
}

function inherit(mount: ResolvedMount, readOnly: boolean): ResolvedMount {
  const narrowed = readOnly && mount.RW;
  const options = narrowed ? mount.options.map((option) => (option === "rw" ? "rro" : option)) : mount.options;
  // The other container owns the volume: it is not removed along with this one.
  return { ...mount, RW: mount.RW && !readOnly, options, anonymous: false, copyUp: false };
}
