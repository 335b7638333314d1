/** What is stored of a container: `<data root>/containers/<id>/container.json`, written atomically after each change that must
 *  survive the engine. The kernel is the truth about what runs; this says what should. Types only. */
import type { IdMap } from "../../host/id-map.ts";
import type { ProcessIdentity } from "../../host/process-identity.ts";
import type { EndpointState, SandboxState } from "../../network/types.ts";
import type {
  ContainerConfig,
  ContainerStatus,
  EndpointSettings,
  HealthState,
  HostConfig,
  MountPoint,
} from "../types.ts";

export interface ContainerRecord {
  readonly version: 1;
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  /** RFC 3339. */
  readonly created: string;
  readonly imageId: string;
  /** As the client wrote it. */
  readonly imageRef: string;
  /** Merged with the image's. */
  readonly config: ContainerConfig;
  /** Normalised: defaults filled in. */
  readonly hostConfig: HostConfig;
  readonly path: string;
  readonly args: readonly string[];
  /** Network name or id as requested -> endpoint as requested. Empty for host, none and container modes. */
  readonly endpoints: Readonly<Record<string, EndpointSettings>>;
  readonly mounts: readonly ResolvedMount[];
  /** Absent: it is in the host's user namespace. */
  readonly userNamespace?: IdMap;
  readonly state: RecordedState;
}

/** A mount of the container, ready for the runtime spec. */
export interface ResolvedMount extends MountPoint {
  /** Anonymous volumes are removed by `rm -v` and on auto-remove. */
  readonly anonymous: boolean;
  /** Further options for the runtime spec: tmpfs data, propagation, `rro`. */
  readonly options: readonly string[];
  /** Copy image content into an empty volume at first use. */
  readonly copyUp: boolean;
  readonly subpath?: string;
}

export interface RecordedState {
  readonly status: ContainerStatus;
  /** While running or paused: the container's PID 1 and its monitor. */
  readonly process: ProcessIdentity | undefined;
  readonly monitor: ProcessIdentity | undefined;
  readonly exitCode: number;
  readonly error: string;
  readonly oomKilled: boolean;
  /** RFC 3339 with nanoseconds; "0001-01-01T00:00:00Z": never. */
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly restartCount: number;
  /** `stop` was asked for: `unless-stopped` and `always` do not bring it back until a start. */
  readonly stoppedByUser: boolean;
  readonly health: HealthState | undefined;
  readonly sandbox: SandboxState | undefined;
  /** Endpoints of the last run, kept so that the next one gets the same addresses. */
  readonly lastEndpoints: readonly EndpointState[];
  /** Its group in the hierarchies. Absent: the one below the engine's own. */
  readonly cgroup?: string | undefined;
}
