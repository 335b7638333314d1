/** How `up`, `create`, `scale` and `run` reconcile. */
export interface ReconcileOptions {
  /** For the services named on the command line, or all when none is named. */
  readonly recreate: RecreatePolicy;
  /** For the services that come along as dependencies. */
  readonly recreateDependencies: RecreatePolicy;
  /** Named on the command line; empty: all. */
  readonly services: readonly string[];
  /** False: create only. */
  readonly start: boolean;
  /** `--wait`: every service has to become running or healthy. */
  readonly wait: boolean;
  readonly orphans: "remove" | "warn" | "ignore";
  /** False: `--renew-anon-volumes`. */
  readonly keepAnonymousVolumes: boolean;
  /** For stops that the plan needs; undefined: each container's own. */
  readonly stopTimeoutSeconds: number | undefined;
  /** Keys of volumes whose data the user has agreed to lose. */
  readonly replaceVolumes: ReadonlySet<string>;
}

export type RecreatePolicy = "diverged" | "always" | "never";

export const defaultReconcileOptions: ReconcileOptions = {
  recreate: "diverged",
  recreateDependencies: "diverged",
  services: [],
  start: true,
  wait: false,
  orphans: "warn",
  keepAnonymousVolumes: true,
  stopTimeoutSeconds: undefined,
  replaceVolumes: new Set(),
};
