/** What the container verbs work with. Types only. */
import type { Poller } from "../../host/poller.ts";
import type { Networking } from "../../network/types.ts";
import type { PublishEvent } from "../events.ts";
import type { ImageStore } from "../images/types.ts";
import type { HostProfile } from "../runtime/host-profile.ts";
import type { OciRuntime } from "../runtime/oci-runtime.ts";
import type { SeccompFilters } from "../runtime/seccomp-filters.ts";
import type { Volumes } from "../volumes/volumes.ts";
import type { Container } from "./container.ts";
import type { EngineRoots } from "./paths.ts";
import type { ContainerRegistry } from "./registry.ts";
import type { RootFilesystems } from "./rootfs.ts";
import type { Runs } from "./runs.ts";
import type { UserNamespaces } from "./user-namespaces.ts";

export type Log = (level: "info" | "warn" | "error", message: string) => void;

export interface ContainerContext {
  readonly roots: EngineRoots;
  readonly registry: ContainerRegistry;
  readonly images: ImageStore;
  readonly networking: Networking;
  readonly volumes: Volumes;
  readonly publish: PublishEvent;
  readonly log: Log;
  readonly host: HostProfile;
  readonly runtime: OciRuntime;
  readonly seccompFilters: SeccompFilters;
  readonly poller: Poller;
  readonly rootfs: RootFilesystems;
  readonly userNamespaces: UserNamespaces;
  readonly runs: Runs;
  /** Called once for each container, when it is made or found: what goes along with it while it runs follows its state. */
  readonly accompany: (container: Container) => void;
  /** Group that holds the groups of all containers of this engine: `/tscompose-<tag>`. */
  readonly cgroupRoot: string;
}
