/** The one worker that the engine is to BuildKit's clients. */
import { createHash } from "node:crypto";
import { hostname } from "node:os";
import type { Engine } from "../../engine/engine.ts";
import type { MessageOf } from "./protobuf.ts";
import type { workerRecord } from "./messages.ts";

type Worker = Partial<MessageOf<typeof workerRecord>>;

/** Of the API that is spoken. Clients compare it with the versions in which things came. */
export const engineVersion = { package: "github.com/moby/buildkit", version: "v0.32.2", revision: "tscompose" };

/** By it clients know that an engine stores OCI images, and gives them out as archives. */
const storesOci = ["org.mobyproject.buildkit.worker.snapshotter", "overlayfs"] as const;

/** Go's names of what Node names otherwise. */
const architectures: Readonly<Record<string, string>> = { x64: "amd64", ia32: "386" };

export async function workerOf(engine: Engine): Promise<Worker> {
  const info = await engine.system.info();
  const host = hostname();
  const architecture = architectures[process.arch] ?? process.arch;
  const identity = "ID" in info ? String(info.ID) : host;
  return {
    id: createHash("sha256").update(identity).digest("hex").slice(0, 25),
    labels: new Map([
      ["org.mobyproject.buildkit.worker.executor", "tscompose"],
      ["org.mobyproject.buildkit.worker.hostname", host],
      storesOci,
    ]),
    platforms: [{ os: "linux", architecture }],
    gcPolicies: [{ all: true }],
    version: engineVersion,
  };
}
