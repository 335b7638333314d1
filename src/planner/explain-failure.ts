import { type ErrorCode, isTscomposeError, TscomposeError } from "../errors.ts";

import { describeAction, describeResource, type Operation } from "./operation.ts";

/** The engine's refusal with what was attempted, and what to do about it. Failed waits and aborts say enough themselves. */
export function explainFailure(operation: Operation, error: unknown): unknown {
  if (!isTscomposeError(error) || operation.kind === "wait-service" || error.code === "aborted") return error;
  const service = "service" in operation ? `service "${operation.service}": ` : "";
  const hint = error.hint ?? hintFor(operation, error);
  return new TscomposeError(
    error.code,
    `${service}cannot ${describeAction(operation)} ${describeResource(operation)}: ${error.message}`,
    { cause: error, details: error.details, ...(hint === undefined ? {} : { hint }) },
  );
}

const hints: Readonly<Partial<Record<ErrorCode, string>>> = {
  "port/in-use": "something else listens there: stop it, or publish another host port",
  "container/name-in-use": "remove or rename the other container, or choose another container_name or project name",
  "container/command-not-found": "check command and entrypoint: the program is not in the image",
  "container/command-not-executable": "check command and entrypoint: the file in the image is not executable",
  "network/subnet-overlap": "choose another subnet under ipam, or leave it out",
  "network/pool-exhausted": "remove networks that are not used, or name a subnet under ipam",
  "network/address-in-use": "choose another ipv4_address, or leave it out",
  "image/not-found": "pull, build or load the image first",
  "host/no-space": "free some disk space",
};

/** Docker's engine tells these apart only by their text. */
const texts: readonly (readonly [RegExp, ErrorCode])[] = [
  [/port is already allocated|address already in use/i, "port/in-use"],
  [
    /executable file not found|no such file or directory: unknown|stat .*: no such file/i,
    "container/command-not-found",
  ],
  [/permission denied: unknown/i, "container/command-not-executable"],
  [/pool overlaps|overlap/i, "network/subnet-overlap"],
  [/no space left/i, "host/no-space"],
];

function hintFor(operation: Operation, error: TscomposeError): string | undefined {
  const starting =
    operation.kind === "start-container" ||
    operation.kind === "create-network" ||
    operation.kind === "create-container";
  const known = hints[error.code];
  if (known !== undefined || !starting) return known;
  const [, code] = texts.find(([pattern]) => pattern.test(error.message)) ?? [];
  return code === undefined ? undefined : hints[code];
}
