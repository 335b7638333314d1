/** The restart policy of a request. Pure. Source: Docker's texts, engine-api.md section 2. */
import { TscomposeError } from "../../../errors.ts";
import type { RestartPolicy } from "../../types.ts";

export function normaliseRestartPolicy(policy: RestartPolicy | undefined): RestartPolicy {
  return { Name: policy?.Name || "no", MaximumRetryCount: policy?.MaximumRetryCount ?? 0 };
}

/** @throws request/invalid */
export function checkRestartPolicy(policy: RestartPolicy | undefined, autoRemove: boolean): void {
  const name = policy?.Name ?? "";
  const retries = policy?.MaximumRetryCount ?? 0;
  if (!["", "no", "always", "on-failure", "unless-stopped"].includes(name)) {
    throw invalid(`unknown policy '${name}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`);
  }
  if (!Number.isSafeInteger(retries) || retries < 0) throw invalid("maximum retry count cannot be negative");
  if (name !== "on-failure" && retries !== 0) {
    throw invalid("maximum retry count can only be used with 'on-failure'");
  }
  if (autoRemove && name !== "" && name !== "no") {
    throw new TscomposeError("request/invalid", "can't create 'AutoRemove' container with restart policy");
  }
}

function invalid(reason: string): TscomposeError {
  return new TscomposeError("request/invalid", `invalid restart policy: ${reason}`);
}
