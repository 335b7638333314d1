/** Which OCI runtime makes the containers, and how it is called. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { TscomposeError } from "../../errors.ts";
import { runCommandSync } from "../../host/command.ts";
import { MNT_DETACH, umount } from "../../host/libc.ts";
import { readCgroupMounts } from "../../host/cgroup.ts";

export interface OciRuntime {
  readonly name: string;
  readonly path: string;
  readonly stateDir: string;
  /** For `info`: why this one, and what is in its way. */
  readonly note: string;
  /** It asks systemd for groups. */
  readonly systemdCgroups: boolean;
  /** Names that a container can ask for. */
  readonly names: readonly string[];
}

export interface RuntimeWishes {
  readonly stateDir: string;
  /** `crun` or `runc`; undefined: the faster one that works. */
  readonly name: string | undefined;
  readonly systemdCgroups: boolean;
  /** The engine has a mount namespace of its own, where it can take a mount away. */
  readonly privateMounts: boolean;
}

const searchPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

export function findProgram(name: string): string | undefined {
  return searchPath.map((directory) => join(directory, name)).find((path) => existsSync(path));
}

/** crun is the faster one, but on a host with both cgroup versions it refuses to work while it sees the (empty) second: so that is
 *  unmounted in this process' own mount namespace. @throws host/unsupported when there is none that works */
export function chooseRuntime(wishes: RuntimeWishes): OciRuntime {
  const crun = findProgram("crun");
  const runc = findProgram("runc");
  const make = (name: string, path: string, note: string): OciRuntime => {
    const { stateDir, systemdCgroups } = wishes;
    return { name, path, stateDir, note, systemdCgroups, names: [name] };
  };
  if (wishes.name !== "runc" && crun !== undefined) {
    const note = hideHybridHierarchy(wishes.privateMounts);
    if (note !== undefined) return make("crun", crun, note);
    if (wishes.name === "crun" || runc === undefined) {
      throw new TscomposeError("host/unsupported", "crun does not work on a host with both cgroup versions mounted", {
        hint: "install runc, or start the engine through `tscompose engine`, which gives it its own mount namespace",
      });
    }
    return make("runc", runc, "crun refuses this host's hybrid cgroup layout");
  }
  if (runc !== undefined) return make("runc", runc, wishes.name === "runc" ? "asked for" : "crun is not installed");
  throw new TscomposeError("host/unsupported", `no OCI runtime is installed${wishes.name ? `: ${wishes.name}` : ""}`, {
    hint: "install one: apt-get install crun",
  });
}

/** Undefined: it is in the way and cannot be hidden. */
function hideHybridHierarchy(privateMounts: boolean): string | undefined {
  const { hybridUnified } = readCgroupMounts();
  if (hybridUnified === undefined) return "";
  if (!privateMounts) return undefined;
  umount(hybridUnified, MNT_DETACH);
  return `hides ${hybridUnified} from the runtime`;
}

/** First line of `--version`. */
export function runtimeVersion(runtime: OciRuntime): string {
  return runCommandSync([runtime.path, "--version"]).stdout.toString("utf8").split("\n", 1)[0] ?? "";
}

/** The runtime's command line up to its verb. */
export function runtimeCommand(runtime: OciRuntime): readonly string[] {
  const ownGroups = runtime.name === "crun" ? ["--cgroup-manager=cgroupfs"] : [];
  const manager = runtime.systemdCgroups ? ["--systemd-cgroup"] : ownGroups;
  return [runtime.path, `--root=${runtime.stateDir}`, ...manager];
}
