/** `storage_opt: {size}`: how much a container may write into its own root. Source: Docker's overlay2 driver. */
import { TscomposeError } from "../../errors.ts";
import { forgetProject, limitTrees, projectOf, projectQuotaObstacle } from "../../host/project-quota.ts";
import { parseSizeBytes } from "../build/dockerfile/size.ts";
import type { HostConfig } from "../types.ts";
import type { Container } from "./container.ts";

/** Bytes; undefined: no limit. @throws request/invalid for another option, or what is no size */
export function storageSize({ StorageOpt }: Pick<HostConfig, "StorageOpt">): number | undefined {
  const options = Object.entries(StorageOpt ?? {});
  for (const [key, value] of options) {
    if (key.toLowerCase() !== "size") {
      throw new TscomposeError("request/invalid", `HostConfig.StorageOpt: unknown option ${key}`, { hint: "use size" });
    }
    const bytes = parseSizeBytes(value);
    if (bytes === undefined || bytes === 0) {
      throw new TscomposeError("request/invalid", `HostConfig.StorageOpt: invalid size: '${value}'`, {
        hint: "write a size like 10g",
      });
    }
    return bytes;
  }
  return undefined;
}

/** The container's own directories are there, and empty. @throws host/unsupported where the file system cannot do it */
export function limitStorage({ id, paths, record }: Container): void {
  const bytes = storageSize(record.hostConfig);
  if (bytes === undefined) return;
  const obstacle = projectQuotaObstacle(paths.upper);
  if (obstacle !== undefined) {
    throw new TscomposeError("host/unsupported", `HostConfig.StorageOpt cannot be applied: ${obstacle}`, {
      hint: "put TSCOMPOSE_DATA_ROOT on an xfs or ext4 that is mounted with prjquota (ext4: tune2fs -O quota,project first), or leave the size out",
      details: { field: "StorageOpt" },
    });
  }
  limitTrees([paths.upper, paths.work], bytes, id);
}

/** Call before the files go. @returns frees the number of the tree; to be called once they are gone */
export function takeStorageLimit({ paths, record }: Container, dataRoot: string): () => void {
  if (storageSize(record.hostConfig) === undefined) return () => undefined;
  try {
    const project = projectOf(paths.upper);
    return () => forgetProject(dataRoot, project);
  } catch {
    return () => undefined; // the directory has gone before
  }
}
