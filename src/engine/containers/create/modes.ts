/** The namespace modes of a request. Pure. Source: engine-api.md section 10; Docker Engine API HostConfig. */
import { TscomposeError } from "../../../errors.ts";
import type { HostConfig } from "../../types.ts";

/** The container that a `container:<ref>` mode names; undefined: another mode. */
export function joinedContainer(mode: string | undefined): string | undefined {
  return mode?.startsWith("container:") === true ? mode.slice("container:".length) : undefined;
}

/** @throws request/invalid, request/unsupported */
export function checkModes(config: HostConfig): void {
  checkMode("IpcMode", config.IpcMode, ["", "none", "private", "shareable", "host"]);
  checkMode("PidMode", config.PidMode, ["", "private", "host"]);
  checkMode("CgroupnsMode", config.CgroupnsMode, ["", "private", "host"], false);
  checkMode("UTSMode", config.UTSMode, ["", "private", "host"], false);
  if (!["", "default", "process"].includes(config.Isolation ?? "")) {
    throw invalid("Isolation", config.Isolation ?? "", "it is for Windows containers");
  }
  if (!["", "host", "private"].includes(config.UsernsMode ?? "")) {
    throw new TscomposeError("request/unsupported", `HostConfig.UsernsMode ${config.UsernsMode} is not supported`, {
      hint: 'use "private" for the range of /etc/subuid, "host" for none, or leave it to the engine',
      details: { field: "UsernsMode" },
    });
  }
  if (joinedContainer(config.NetworkMode) === "")
    throw invalid("NetworkMode", config.NetworkMode ?? "", "it names no container");
}

function checkMode(field: string, mode: string | undefined, known: readonly string[], joinable = true): void {
  if (known.includes(mode ?? "")) return;
  const joined = joinedContainer(mode);
  if (joinable && joined !== undefined && joined !== "") return;
  throw invalid(
    field,
    mode ?? "",
    `use one of ${known.filter(Boolean).join(", ")}${joinable ? ", container:<name>" : ""}`,
  );
}

function invalid(field: string, value: string, hint: string): TscomposeError {
  return new TscomposeError("request/invalid", `invalid ${field}: ${value}`, { hint, details: { field } });
}
