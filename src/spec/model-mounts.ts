import type { Dict, Extensible } from "./model.ts";

/** What a service mounts. Field names and forms as in `model.ts`. */

export interface Mount extends Extensible {
  readonly type?: string;
  readonly source?: string;
  readonly target?: string;
  readonly read_only?: boolean;
  readonly consistency?: string;
  readonly bind?: MountBind;
  readonly volume?: MountVolume;
  readonly tmpfs?: MountTmpfs;
  readonly image?: MountImage;
}

/** `create_host_path` is left out when true. */
export interface MountBind extends Extensible {
  readonly selinux?: string;
  readonly propagation?: string;
  readonly create_host_path?: false;
  readonly recursive?: string;
}

export interface MountVolume extends Extensible {
  readonly labels?: Dict<string>;
  readonly nocopy?: boolean;
  readonly subpath?: string;
}

/** `mode` is a plain number here, unlike in `FileReference`. */
export interface MountTmpfs extends Extensible {
  readonly size?: string;
  readonly mode?: number;
}

export interface MountImage extends Extensible {
  readonly subpath?: string;
}
