/** Compiled seccomp filters, kept so that crun need not compile the same profile for every container: with the three
 *  architectures of amd64 that is 15 ms of its 24 ms of CPU. crun leaves what it compiled in its state directory, and takes raw
 *  filters from an annotation. The kernel checks a filter again when it is loaded. Source: crun(1), `run.oci.seccomp_bpf_data`. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, statSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { writeAtomic } from "../../host/atomic-file.ts";
import type { OciRuntime } from "./oci-runtime.ts";
import type { RuntimeSpec, SeccompSpec } from "./spec-types.ts";

const annotation = "run.oci.seccomp_bpf_data";
/** struct sock_filter, and BPF_MAXINSNS of them. Source: linux/filter.h. */
const instructionBytes = 8;
const maxInstructions = 4096;

export class SeccompFilters {
  readonly #directory: string;
  readonly #runtime: OciRuntime;
  readonly #filters = new Map<string, string | undefined>();
  readonly #toolchain: string;

  /** @param directory root's alone: what is in it decides what containers may call */
  constructor(directory: string, runtime: OciRuntime) {
    this.#directory = directory;
    this.#runtime = runtime;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    // Another runtime or library may compile another filter.
    const { mtimeMs, size } = statSync(runtime.path);
    this.#toolchain = `${runtime.path} ${mtimeMs} ${size} ${release()} ${process.arch}`;
  }

  /** The specification with the compiled filter beside its profile, where it is known. The profile stays: `exec` asks for it. */
  apply(spec: RuntimeSpec): RuntimeSpec {
    const { seccomp } = spec.linux;
    if (this.#runtime.name !== "crun" || seccomp === undefined) return spec;
    const filter = this.#find(this.#keyOf(seccomp));
    return filter === undefined ? spec : { ...spec, annotations: { ...spec.annotations, [annotation]: filter } };
  }

  /** Call when the runtime has made the container `id` from `spec`: keeps what it compiled. */
  learn(spec: RuntimeSpec, id: string): void {
    const { seccomp } = spec.linux;
    if (this.#runtime.name !== "crun" || seccomp === undefined) return;
    const key = this.#keyOf(seccomp);
    if (this.#filters.get(key) !== undefined) return;
    const filter = readFilter(join(this.#runtime.stateDir, id, "seccomp.bpf"));
    if (filter === undefined) return;
    this.#filters.set(key, filter.toString("base64"));
    writeAtomic(join(this.#directory, key), filter);
  }

  #keyOf(seccomp: SeccompSpec): string {
    return createHash("sha256")
      .update(`${this.#toolchain}\n${JSON.stringify(seccomp)}`)
      .digest("hex");
  }

  #find(key: string): string | undefined {
    if (!this.#filters.has(key)) this.#filters.set(key, readFilter(join(this.#directory, key))?.toString("base64"));
    return this.#filters.get(key);
  }
}

/** Undefined where there is none, or one that cannot be whole. */
function readFilter(path: string): Buffer | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch {
    return undefined;
  }
  const whole = bytes.length > 0 && bytes.length % instructionBytes === 0;
  return whole && bytes.length <= maxInstructions * instructionBytes ? bytes : undefined;
}
