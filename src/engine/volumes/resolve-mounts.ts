/** Wanted mounts -> mounts that exist: volumes made, host directories checked or made. What the runtime spec needs and what
 *  `inspect` shows come from the same list. */
import { statSync } from "node:fs";
import { errorMessage, TscomposeError } from "../../errors.ts";
import { makeDirectories } from "../../host/make-directory.ts";
import type { UndoStack } from "../../host/undo-stack.ts";
import type { ResolvedMount } from "../containers/record.ts";
import type { HostConfig, MountPoint } from "../types.ts";
import type { Propagation } from "./bind-mode.ts";
import { wantedMounts, type MountWishes, type WantedMount } from "./mount-spec.ts";
import type { Volumes } from "./volumes.ts";

/** `options` of the result are complete for the runtime spec, `ro` or `rw` included. Volumes that were made for this container are
 *  removed again by `undo`. An image mount has the image's reference as `Name`; its `Source` is empty until the start.
 *  @throws request/invalid, request/unsupported, request/not-found, container/not-found */
export function resolveMounts(
  wishes: MountWishes,
  context: { readonly volumes: Volumes; readonly undo: UndoStack },
): readonly ResolvedMount[] {
  return wantedMounts(wishes).map((mount) => resolveMount(mount, context));
}

/** The `Mounts` of `inspect` and of lists: Docker leaves out what `HostConfig.Tmpfs` asked for. */
export function visibleMounts(mounts: readonly ResolvedMount[], hostConfig: HostConfig): readonly MountPoint[] {
  const hidden = new Set(Object.keys(hostConfig.Tmpfs ?? {}).map((target) => target.replace(/(.)\/+$/, "$1")));
  return mounts
    .filter(({ Type, Destination }) => Type !== "tmpfs" || !hidden.has(Destination))
    .map(({ anonymous: _anonymous, options: _options, copyUp: _copyUp, subpath: _subpath, ...point }) => point);
}

function resolveMount(
  mount: WantedMount,
  context: { readonly volumes: Volumes; readonly undo: UndoStack },
): ResolvedMount {
  const common = { Destination: mount.target, anonymous: false, copyUp: false };
  switch (mount.kind) {
    case "inherited":
      return mount.mount;
    case "bind":
      return resolveBind(mount);
    case "volume":
      return resolveVolume(mount, context);
    case "tmpfs": {
      const options = [...mount.options, mount.readOnly ? "ro" : "rw"];
      return { ...common, Type: "tmpfs", Source: "", Mode: "", RW: !mount.readOnly, Propagation: "", options };
    }
    case "image": {
      const image = {
        Type: "image",
        Name: mount.reference,
        Source: "",
        Mode: "",
        RW: false,
        Propagation: "rprivate",
      } as const;
      const subpath = mount.subpath === undefined ? {} : { subpath: mount.subpath };
      return { ...common, ...image, ...subpath, options: ["rbind", "rprivate", "rro"] };
    }
  }
}

function resolveBind(mount: WantedMount & { readonly kind: "bind" }): ResolvedMount {
  checkSource(mount);
  const propagation = mount.mode.propagation ?? "rprivate";
  checkPropagation(propagation, mount.source);
  const readOnly = mount.recursive && mount.recursiveReadOnly ? "rro" : "ro";
  return {
    Type: "bind",
    Source: mount.source,
    Destination: mount.target,
    Mode: mount.modeText,
    RW: !mount.mode.readOnly,
    Propagation: propagation,
    anonymous: false,
    copyUp: false,
    options: [mount.recursive ? "rbind" : "bind", propagation, mount.mode.readOnly ? readOnly : "rw"],
  };
}

function checkSource(mount: WantedMount & { readonly kind: "bind" }): void {
  if (statSync(mount.source, { throwIfNoEntry: false }) !== undefined) return;
  if (!mount.createSource) {
    throw new TscomposeError(
      "request/invalid",
      `invalid mount config for type "bind": bind source path does not exist: ${mount.source}`,
      { hint: "create it, or correct the path" },
    );
  }
  try {
    makeDirectories(mount.source, 0o755);
  } catch (error) {
    const message = `error while creating mount source path '${mount.source}': ${errorMessage(error)}`;
    throw new TscomposeError("request/invalid", message, { cause: error });
  }
}

/** Mounts inside the container cannot reach the host: the engine itself lives in a mount namespace that only receives. */
function checkPropagation(propagation: Propagation, source: string): void {
  if (propagation !== "shared" && propagation !== "rshared") return;
  throw new TscomposeError(
    "request/unsupported",
    `bind mount of ${source}: propagation ${propagation} is not supported`,
    {
      hint: "use rslave to see the host's later mounts in the container, or rprivate",
    },
  );
}

function resolveVolume(
  mount: WantedMount & { readonly kind: "volume" },
  { volumes, undo }: { readonly volumes: Volumes; readonly undo: UndoStack },
): ResolvedMount {
  const { volume, created } = volumes.ensure({
    Name: mount.name ?? "",
    ...(mount.driver === undefined ? {} : { Driver: mount.driver }),
    ...(mount.driverOptions === undefined ? {} : { DriverOpts: mount.driverOptions }),
    ...(mount.labels === undefined ? {} : { Labels: mount.labels }),
  });
  if (created) undo.defer(`volume ${volume.Name}`, () => volumes.remove(volume.Name, true));
  return {
    Type: "volume",
    Name: volume.Name,
    Source: volume.Mountpoint,
    Destination: mount.target,
    Driver: volume.Driver,
    Mode: mount.name === undefined || mount.modeText !== "" ? mount.modeText : "z",
    RW: !mount.mode.readOnly,
    Propagation: "",
    anonymous: mount.name === undefined,
    copyUp: !mount.mode.noCopy && mount.subpath === undefined,
    options: ["rbind", "rprivate", mount.mode.readOnly ? "rro" : "rw"],
    ...(mount.subpath === undefined ? {} : { subpath: mount.subpath }),
  };
}
