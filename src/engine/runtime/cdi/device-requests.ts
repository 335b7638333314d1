/** Requests for devices (`gpus`, `deploy.resources.reservations.devices`, CDI names) -> names of CDI devices. Pure.
 *  Source: engine-api.md section 10 (DeviceRequests); Docker's words for what cannot be had. */
import { TscomposeError } from "../../../errors.ts";
import type { DeviceRequest } from "../../types.ts";
import type { CdiDevices } from "./cdi-registry.ts";

/** Kinds that a request for GPUs can mean, with the driver that asks for each. */
const gpuKinds: readonly { readonly driver: string; readonly kind: string }[] = [
  { driver: "nvidia", kind: "nvidia.com/gpu" },
  { driver: "amd", kind: "amd.com/gpu" },
];

/** In the order asked for, each once. @throws request/invalid naming what this host does not have */
export function requestedDevices(requests: readonly DeviceRequest[], devices: CdiDevices): readonly string[] {
  const names = requests.flatMap((request) => {
    const cdi = request.Driver === "cdi" || (request.DeviceIDs ?? []).some((id) => id.includes("="));
    return cdi ? (request.DeviceIDs ?? []) : gpuDevices(request, devices);
  });
  const missing = names.filter((name) => devices.editsOf(name) === undefined);
  if (missing.length > 0) {
    throw new TscomposeError(
      "request/invalid",
      `CDI device injection failed: unresolvable CDI devices ${missing.join(", ")} (${explain(devices)})`,
      { hint: remedy, details: { field: "DeviceRequests" } },
    );
  }
  return [...new Set(names)];
}

function gpuDevices(request: DeviceRequest, devices: CdiDevices): readonly string[] {
  const wantsGpu = (request.Capabilities ?? []).some((all) => all.includes("gpu"));
  const candidates = gpuKinds.filter(({ driver }) => !request.Driver || request.Driver === driver);
  const found = wantsGpu ? candidates.find(({ kind }) => devices.kinds.has(kind)) : undefined;
  if (found === undefined) {
    const capabilities = `[${(request.Capabilities ?? []).map((all) => `[${all.join(" ")}]`).join(" ")}]`;
    throw new TscomposeError(
      "request/invalid",
      `could not select device driver ${JSON.stringify(request.Driver ?? "")} with capabilities: ${capabilities} (${explain(devices)})`,
      { hint: remedy, details: { field: "DeviceRequests" } },
    );
  }
  const { kind } = found;
  const ids = request.DeviceIDs ?? [];
  if (ids.length > 0) return ids.map((id) => `${kind}=${id}`);
  const names = devices.kinds.get(kind) ?? [];
  // "all" stands for the others; names beside the numbers are other ways to say the same device.
  const numbered = names.filter((name) => /^\d+$/.test(name)).toSorted((a, b) => Number(a) - Number(b));
  const single = numbered.length > 0 ? numbered : names.filter((name) => name !== "all");
  const count = request.Count ?? -1;
  if (count < 0) return names.includes("all") ? [`${kind}=all`] : single.map((name) => `${kind}=${name}`);
  const wanted = count === 0 ? 1 : count;
  if (wanted > single.length) {
    throw new TscomposeError(
      "request/invalid",
      `${wanted} devices of ${kind} are asked for, ${single.length} are there`,
      {
        hint: remedy,
        details: { field: "DeviceRequests" },
      },
    );
  }
  return single.slice(0, wanted).map((name) => `${kind}=${name}`);
}

function explain(devices: CdiDevices): string {
  const known = [...devices.kinds].flatMap(([kind, names]) => names.map((name) => `${kind}=${name}`));
  const there =
    known.length === 0 ? "no CDI device is described in /etc/cdi or /var/run/cdi" : `known: ${known.join(", ")}`;
  const why = devices.problems.length === 0 ? "" : `; ${devices.problems.join("; ")}`;
  return `${there}${why}`;
}

const remedy = "describe the device in /etc/cdi; for NVIDIA: nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml";
