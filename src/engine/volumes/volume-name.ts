/** Names of volumes. Pure but for the random ones. Source: Docker's local volume driver. */
import { randomBytes } from "node:crypto";
import { TscomposeError } from "../../errors.ts";

/** Marks volumes that were made without a name: what `volume prune` may take. */
export const anonymousLabel = "com.docker.volume.anonymous";

/** 64 hexadecimal digits. */
export function randomVolumeName(): string {
  return randomBytes(32).toString("hex");
}

/** @throws request/invalid with Docker's text */
export function checkVolumeName(name: string): void {
  if (name.length === 1) {
    throw new TscomposeError(
      "request/invalid",
      "volume name is too short, names should be at least two alphanumeric characters",
    );
  }
  if (!/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name)) {
    throw new TscomposeError(
      "request/invalid",
      `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only ` +
        `"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
  if (name.length > 255)
    throw new TscomposeError("request/invalid", `create ${name}: volume name is longer than 255 bytes`);
}
