import type { ContainerConfig, HostConfig, PortBinding } from "../../api/wire.ts";
import type { Service } from "../../spec/model.ts";

type PortSet = NonNullable<ContainerConfig["ExposedPorts"]>;
type PortMap = NonNullable<HostConfig["PortBindings"]>;

/** `expose` and the container side of `ports`, as `80/tcp`. */
export function exposedPorts(spec: Service): PortSet | undefined {
  const ports = new Set<string>();
  for (const entry of spec.expose ?? []) for (const port of expandExpose(entry)) ports.add(port);
  for (const { target, protocol = "tcp" } of spec.ports ?? [])
    if (target !== undefined) ports.add(`${target}/${protocol}`);
  if (ports.size === 0) return undefined;
  return Object.fromEntries([...ports].map((port) => [port, {}]));
}

/** `3000-3002/udp` is three ports; no protocol is tcp. */
function expandExpose(entry: string): readonly string[] {
  const [range = "", protocol = "tcp"] = entry.split("/");
  const [first = "", last = first] = range.split("-");
  const [low, high] = [Number(first), Number(last)];
  if (!Number.isInteger(low) || !Number.isInteger(high) || high < low || high > 65_535) return [`${range}/${protocol}`];
  return Array.from({ length: high - low + 1 }, (_, index) => `${low + index}/${protocol}`);
}

/** `""` as host port: the engine chooses one. */
export function portBindings(spec: Service): PortMap | undefined {
  const bindings = new Map<string, PortBinding[]>();
  for (const { target, protocol = "tcp", host_ip = "", published = "" } of spec.ports ?? []) {
    if (target === undefined) continue;
    const key = `${target}/${protocol}`;
    bindings.set(key, [...(bindings.get(key) ?? []), { HostIp: host_ip, HostPort: published }]);
  }
  return bindings.size === 0 ? undefined : Object.fromEntries(bindings);
}
