/** Where a container's files are. Data survives a reboot; what is below the run root belongs to one boot. Pure. */
import { join } from "node:path";

export interface EngineRoots {
  readonly dataRoot: string;
  readonly runRoot: string;
}

export interface ContainerPaths {
  /** `<data root>/containers/<id>`, mode 0700. */
  readonly dir: string;
  /** The record, see `record.ts`. */
  readonly record: string;
  /** Written by conmon in its "k8s-file" form: `<RFC 3339> stdout|stderr F|P <text>`. Older ones beside it are `.1`, `.2`, ... */
  readonly log: string;
  readonly hostsFile: string;
  readonly hostnameFile: string;
  readonly resolvConf: string;
  /** Overlay: what the container has changed, the kernel's work directory, and where the whole is mounted while in use. */
  readonly upper: string;
  readonly work: string;
  readonly root: string;

  /** `<run root>/c/<id>`: the OCI bundle. May exceed the 107 bytes of a socket address: reach sockets through `/proc/self/fd/<n>`. */
  readonly bundle: string;
  readonly runtimeSpec: string;
  /** State of the current boot, newer than the one in the record. */
  readonly state: string;
  /** Seqpacket socket that conmon listens on. Source: conmon, `--full-attach`. */
  readonly attachSocket: string;
  /** Fifos that conmon reads: `ctl` takes terminal sizes and the request to reopen the log. */
  readonly controlFifo: string;
  readonly sizeFifo: string;
  readonly processPidFile: string;
  readonly monitorPidFile: string;
  /** Exists once the kernel has killed something of the container for lack of memory. Source: conmon. */
  readonly oomFile: string;
  /** What conmon and the runtime had to say. */
  readonly monitorLog: string;
  /** The exit code as text; its modification time is when the container ended. In one directory, which the engine watches. */
  readonly exitFile: string;
}

export function containerPaths(roots: EngineRoots, id: string): ContainerPaths {
  const dir = join(containersDir(roots), id);
  const bundle = join(bundlesDir(roots), id);
  return {
    dir,
    record: join(dir, "container.json"),
    log: join(dir, "container.log"),
    hostsFile: join(dir, "hosts"),
    hostnameFile: join(dir, "hostname"),
    resolvConf: join(dir, "resolv.conf"),
    upper: join(dir, "upper"),
    work: join(dir, "work"),
    root: join(dir, "root"),
    bundle,
    runtimeSpec: join(bundle, "config.json"),
    state: join(bundle, "state.json"),
    attachSocket: join(bundle, "attach"),
    controlFifo: join(bundle, "ctl"),
    sizeFifo: join(bundle, "winsz"),
    processPidFile: join(bundle, "pid"),
    monitorPidFile: join(bundle, "conmon.pid"),
    oomFile: join(bundle, "oom"),
    monitorLog: join(bundle, "conmon.log"),
    exitFile: join(exitsDir(roots), id),
  };
}

export const containersDir = (roots: EngineRoots): string => join(roots.dataRoot, "containers");
export const bundlesDir = (roots: EngineRoots): string => join(roots.runRoot, "c");
export const exitsDir = (roots: EngineRoots): string => join(roots.runRoot, "exits");
/** The runtime's own state (`crun --root`). */
export const runtimeStateDir = (roots: EngineRoots): string => join(roots.runRoot, "oci");
/** Records that could not be read. */
export const corruptDir = (roots: EngineRoots): string => join(roots.dataRoot, "corrupt");
