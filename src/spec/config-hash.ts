import { createHash } from "node:crypto";

import { goJson } from "./go-json.ts";
import { hostAccessKey } from "./host-access.ts";
import type { Network, Service, Volume } from "./model.ts";

/** Docker Compose's own config hashes, so that either tool finds the other's resources unchanged. Source: docker/compose
 *  `pkg/compose/hash.go`. The service must have its `env_file` read in, as `loadProject` leaves it. */
export function serviceConfigHash(service: Service): string {
  const { build: _b, pull_policy: _p, scale: _s, depends_on: _d, profiles: _f, deploy, ...rest } = service;
  // An extension that changes the container is part of the hash where it is used, which Docker Compose does not know.
  const extension = service[hostAccessKey] === undefined ? "" : JSON.stringify(service[hostAccessKey]);
  if (deploy === undefined) return sha256(goJson(rest) + extension);
  const { replicas: _r, ...kept } = deploy;
  // Every field must stand where it stood: the order is part of the hash.
  const hashed: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(service)) {
    if (key === "deploy") hashed[key] = kept;
    else if (Object.hasOwn(rest, key)) hashed[key] = value;
  }
  return sha256(goJson(hashed) + extension);
}

export function networkConfigHash(network: Network): string {
  return sha256(goJson(network));
}

export function volumeConfigHash(volume: Volume): string {
  const { name, driver = "local", ...rest } = volume;
  return sha256(goJson({ ...(name === undefined ? {} : { name }), driver, ...rest }));
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
