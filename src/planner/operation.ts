import type { EndpointSettings, MountPoint, NetworkCreateBody, VolumeCreateBody } from "../api/wire.ts";
import type { DependencyCondition, Hook } from "../spec/model.ts";

import type { HookPhase } from "./run-hook.ts";

/** A container that is there already, or the one that a node of the same plan creates. */
export type ContainerRef =
  | { readonly kind: "existing"; readonly id: string; readonly name: string }
  | { readonly kind: "created"; readonly node: number; readonly name: string };

/** `running_or_healthy` is what `--wait` asks of a service: healthy where it has a healthcheck, else running. */
export type WaitCondition = DependencyCondition | "running_or_healthy";

/** Each is one call of the engine (`wait-service`: a subscription). `cause`: why, for the user; lower case, no full stop. */
export type Operation =
  | { readonly kind: "create-network"; readonly name: string; readonly body: NetworkCreateBody; readonly cause: string }
  | {
      readonly kind: "remove-network";
      readonly name: string;
      readonly id: string;
      /** A network that others still use is left, with a warning. */
      readonly ifUnused: boolean;
      readonly cause: string;
    }
  | { readonly kind: "create-volume"; readonly name: string; readonly body: VolumeCreateBody; readonly cause: string }
  | {
      readonly kind: "remove-volume";
      readonly name: string;
      /** Of a container that goes: not told about. */
      readonly anonymous: boolean;
      readonly cause: string;
    }
  | { readonly kind: "remove-image"; readonly name: string; readonly cause: string }
  | {
      readonly kind: "connect-network";
      readonly container: ContainerRef;
      readonly network: string;
      readonly endpoint: EndpointSettings;
      readonly cause: string;
    }
  | {
      readonly kind: "disconnect-network";
      readonly container: ContainerRef;
      readonly network: string;
      readonly cause: string;
    }
  | {
      readonly kind: "create-container";
      readonly service: string;
      readonly number: number;
      /** The name it gets in the end. */
      readonly name: string;
      /** The name it is created under; differs while the container it replaces still has the other. */
      readonly initialName: string;
      /** Services whose first container the create body names by id. */
      readonly references: ReadonlyMap<string, ContainerRef>;
      /** Service -> names of its containers, for `links`. */
      readonly linked: ReadonlyMap<string, readonly string[]>;
      /** Mounts of the container it replaces, whose anonymous volumes it takes over. */
      readonly inherit: readonly MountPoint[];
      /** Name of the container it replaces. */
      readonly replaces: string | undefined;
      readonly cause: string;
    }
  | {
      readonly kind: "start-container";
      readonly service: string;
      readonly container: ContainerRef;
      readonly cause: string;
    }
  | {
      readonly kind: "stop-container";
      readonly service: string;
      readonly container: ContainerRef;
      /** Undefined: the container's own. */
      readonly timeoutSeconds: number | undefined;
      readonly cause: string;
    }
  | {
      readonly kind: "run-hook";
      readonly service: string;
      readonly container: ContainerRef;
      readonly phase: HookPhase;
      /** Its place in the list. */
      readonly index: number;
      readonly hook: Hook;
      readonly cause: string;
    }
  | {
      readonly kind: "run-pre-start";
      readonly service: string;
      /** The first replica, whose volumes the hook shares. */
      readonly container: ContainerRef;
      readonly index: number;
      readonly hook: Hook;
      readonly cause: string;
    }
  | {
      readonly kind: "remove-container";
      readonly service: string;
      readonly container: ContainerRef;
      readonly force: boolean;
      /** Anonymous ones. */
      readonly volumes: boolean;
      readonly cause: string;
    }
  | {
      readonly kind: "rename-container";
      readonly container: ContainerRef;
      readonly name: string;
      readonly cause: string;
    }
  | {
      readonly kind: "wait-service";
      readonly service: string;
      readonly condition: WaitCondition;
      readonly containers: readonly ContainerRef[];
      /** False: those who wait go on without it. */
      readonly required: boolean;
      readonly cause: string;
    };

export type OperationKind = Operation["kind"];

/** What an operation is about: `container app-web-1`. */
export function describeResource(operation: Operation): string {
  switch (operation.kind) {
    case "create-network":
    case "remove-network":
      return `network ${operation.name}`;
    case "create-volume":
    case "remove-volume":
      return `volume ${operation.name}`;
    case "remove-image":
      return `image ${operation.name}`;
    case "create-container":
      return `container ${operation.initialName}`;
    case "wait-service":
      return `service ${operation.service}`;
    case "connect-network":
    case "disconnect-network":
    case "start-container":
    case "stop-container":
    case "run-hook":
    case "run-pre-start":
    case "remove-container":
    case "rename-container":
      return `container ${operation.container.name}`;
  }
}

/** What is done to it: `create`, `wait until healthy`. */
export function describeAction(operation: Operation): string {
  switch (operation.kind) {
    case "create-network":
    case "create-volume":
    case "create-container":
      return "create";
    case "remove-network":
    case "remove-volume":
    case "remove-image":
    case "remove-container":
      return "remove";
    case "connect-network":
      return `connect to ${operation.network}`;
    case "disconnect-network":
      return `disconnect from ${operation.network}`;
    case "start-container":
      return "start";
    case "stop-container":
      return operation.timeoutSeconds === undefined ? "stop" : `stop within ${operation.timeoutSeconds} s`;
    case "run-hook":
      return `run ${operation.phase}[${operation.index}] in`;
    case "run-pre-start":
      return `run pre_start[${operation.index}] before`;
    case "rename-container":
      return `rename to ${operation.name}`;
    case "wait-service":
      return `wait until ${waitWords[operation.condition]}`;
  }
}

const waitWords: Readonly<Record<WaitCondition, string>> = {
  service_started: "started",
  service_healthy: "healthy",
  service_completed_successfully: "completed",
  running_or_healthy: "running or healthy",
};
