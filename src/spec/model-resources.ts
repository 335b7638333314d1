import type { Dict, Extensible, Strings } from "./model.ts";

/** What a project has beside its services. Field names and forms as in `model.ts`. */

export interface Network extends Extensible {
  readonly name?: string;
  readonly driver?: string;
  readonly driver_opts?: Dict<string>;
  /** Always there, `{}` where nothing is said. */
  readonly ipam: Ipam;
  readonly external?: boolean;
  readonly internal?: boolean;
  readonly attachable?: boolean;
  readonly labels?: Dict<string>;
  readonly enable_ipv4?: boolean;
  readonly enable_ipv6?: boolean;
}

export interface Ipam extends Extensible {
  readonly driver?: string;
  readonly config?: readonly IpamPool[];
  readonly options?: Dict<string>;
}

export interface IpamPool extends Extensible {
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ip_range?: string;
  readonly aux_addresses?: Dict<string>;
}

export interface Volume extends Extensible {
  readonly name?: string;
  readonly driver?: string;
  readonly driver_opts?: Dict<string>;
  readonly external?: boolean;
  readonly labels?: Dict<string>;
}

/** A top-level secret or config. `content` of one that comes from the environment is filled in at load and never printed. */
export interface FileObject extends Extensible {
  readonly name?: string;
  readonly file?: string;
  readonly environment?: string;
  readonly content?: string;
  readonly external?: boolean;
  readonly labels?: Dict<string>;
  readonly driver?: string;
  readonly driver_opts?: Dict<string>;
  readonly template_driver?: string;
}

export interface Model extends Extensible {
  readonly name?: string;
  readonly model?: string;
  readonly context_size?: number;
  readonly runtime_flags?: Strings;
}
