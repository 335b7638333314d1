import type { Service } from "../spec/model.ts";

import { serviceOfMode } from "./names.ts";

/** `service:db` becomes `container:<id>`; entries of `volumes_from` become ids, their `:ro` is dropped, as Docker Compose does
 *  before it hashes and creates. References that `idOf` cannot answer stay as they are. */
export function resolveReferences(service: Service, idOf: (service: string) => string | undefined): Service {
  const mode = (value: string | undefined): string | undefined => {
    const name = serviceOfMode(value);
    const id = name === undefined ? undefined : idOf(name);
    return id === undefined ? value : `container:${id}`;
  };
  const [network_mode, ipc, pid] = [mode(service.network_mode), mode(service.ipc), mode(service.pid)];
  const volumes_from = service.volumes_from?.map((entry) => {
    if (entry.startsWith("container:")) return entry.slice("container:".length);
    return idOf(entry.split(":", 1)[0] ?? entry) ?? entry;
  });
  if (
    network_mode === service.network_mode &&
    ipc === service.ipc &&
    pid === service.pid &&
    service.volumes_from === undefined
  ) {
    return service;
  }
  // Each replaced key keeps its place: the hash is taken over the keys in order.
  const changes: Readonly<Record<string, unknown>> = { network_mode, ipc, pid, volumes_from };
  return Object.fromEntries(
    Object.entries(service).map(([key, value]) => [key, changes[key] ?? value]),
  ) as unknown as Service;
}
