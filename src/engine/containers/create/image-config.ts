/** A container's configuration: what was asked for, over what the image says. Pure. The image is hostile: nothing of it decides
 *  more than the container's own process. Source: Docker Engine's merge rules; security.md E-30 to E-33. */
import { posix } from "node:path";
import { TscomposeError } from "../../../errors.ts";
import type { ContainerConfig, ContainerCreateBody, HealthcheckConfig } from "../../types.ts";
import { parseId } from "../../runtime/user.ts";
import { signalNumber } from "./signals.ts";

/** Labels by which tools find what they made: an image may not claim them (CVE-2026-53488). */
const ownLabels = /^(com\.docker\.compose|com\.docker\.volume|tscompose|org\.testcontainers)\./;

export function mergeConfig(body: ContainerCreateBody, image: ContainerConfig, id: string): ContainerConfig {
  const { HostConfig: _host, NetworkingConfig: _networking, ...asked } = body;
  const entrypointGiven = (asked.Entrypoint?.length ?? 0) > 0;
  const entrypoint = entrypointGiven ? asked.Entrypoint : image.Entrypoint;
  const ownCmd = (asked.Cmd?.length ?? 0) > 0;
  const cmd = ownCmd || entrypointGiven ? asked.Cmd : image.Cmd;
  const healthcheck = mergeHealthcheck(asked.Healthcheck, image.Healthcheck);
  const imageLabels = Object.entries(image.Labels ?? {}).filter(([key]) => !ownLabels.test(key));
  const stopSignal = asked.StopSignal || image.StopSignal;
  return {
    ...asked,
    Hostname: asked.Hostname || id.slice(0, 12),
    Domainname: asked.Domainname ?? "",
    User: asked.User || (image.User ?? ""),
    AttachStdin: asked.AttachStdin ?? false,
    AttachStdout: asked.AttachStdout ?? false,
    AttachStderr: asked.AttachStderr ?? false,
    Tty: asked.Tty ?? false,
    OpenStdin: asked.OpenStdin ?? false,
    StdinOnce: asked.StdinOnce ?? false,
    Env: mergeEnv(asked.Env ?? [], image.Env ?? []),
    Cmd: cmd ?? null,
    // [""] is how clients take the image's entrypoint away.
    Entrypoint: isReset(entrypoint) ? null : (entrypoint ?? null),
    Image: asked.Image ?? "",
    WorkingDir: workingDir(asked.WorkingDir || image.WorkingDir || ""),
    ExposedPorts: { ...image.ExposedPorts, ...asked.ExposedPorts },
    Volumes: { ...image.Volumes, ...asked.Volumes },
    Labels: { ...Object.fromEntries(imageLabels), ...asked.Labels },
    OnBuild: null,
    ...(healthcheck === undefined ? {} : { Healthcheck: healthcheck }),
    ...(stopSignal ? { StopSignal: stopSignal } : {}),
    ...((asked.Shell ?? image.Shell) ? { Shell: asked.Shell ?? image.Shell ?? null } : {}),
  };
}

const isReset = (argv: readonly string[] | null | undefined): boolean => argv?.length === 1 && argv[0] === "";

/** What was asked for first, then what only the image has. */
function mergeEnv(asked: readonly string[], image: readonly string[]): readonly string[] {
  const name = (entry: string): string => entry.split("=", 1)[0] ?? "";
  const taken = new Set(asked.map(name));
  // A name alone in an image has no value to give and must not take one of the engine's (CVE-2026-57231).
  return [...asked, ...image.filter((entry) => entry.indexOf("=") > 0 && !taken.has(name(entry)))];
}

function mergeHealthcheck(
  asked: HealthcheckConfig | undefined,
  image: HealthcheckConfig | undefined,
): HealthcheckConfig | undefined {
  if (asked === undefined || Object.keys(asked).length === 0) return image;
  if (image === undefined) return asked;
  const merged: Record<string, unknown> = { ...image };
  for (const [key, value] of Object.entries(asked)) {
    if (value === 0 || value === undefined || (Array.isArray(value) && value.length === 0)) continue;
    merged[key] = value;
  }
  return merged;
}

function workingDir(path: string): string {
  return path === "" ? "" : posix.normalize(path.startsWith("/") ? path : `/${path}`);
}

/** Program and arguments. @throws request/invalid when there are none */
export function commandOf(config: ContainerConfig): { readonly path: string; readonly args: readonly string[] } {
  const [path, ...args] = [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])];
  if (path === undefined || path === "") {
    throw new TscomposeError("request/invalid", "no command specified", {
      hint: "the image has no default command: give one",
    });
  }
  return { path, args };
}

/** @throws request/invalid naming what is wrong */
export function checkConfig(config: ContainerConfig): void {
  if (config.User) checkUser(config.User);
  if (config.StopSignal) signalNumber(config.StopSignal);
  const cwd = config.WorkingDir ?? "";
  if (/^\/proc(\/|$)/.test(cwd)) {
    // A descriptor of somebody else's may be found there (CVE-2024-21626).
    throw invalid(`the working directory ${cwd} is below /proc`, "use another working directory");
  }
  checkName("hostname", config.Hostname ?? "");
  checkName("domainname", config.Domainname ?? "");
  const texts = [...(config.Env ?? []), ...(config.Cmd ?? []), ...(config.Entrypoint ?? []), cwd];
  if (texts.some((text) => text.includes("\0"))) {
    throw invalid("the environment, the command and the working directory may not contain NUL bytes");
  }
  for (const entry of config.Env ?? []) {
    if (entry.startsWith("=") || entry === "") throw invalid(`invalid environment variable: ${entry}`);
  }
  for (const port of Object.keys(config.ExposedPorts ?? {})) {
    if (!/^\d{1,5}(-\d{1,5})?(\/(tcp|udp|sctp))?$/i.test(port)) throw invalid(`invalid port specification: ${port}`);
  }
  if (config.Healthcheck !== undefined) checkHealthcheck(config.Healthcheck);
  const timeout = config.StopTimeout;
  if (timeout !== undefined && timeout !== null && !Number.isSafeInteger(timeout)) {
    throw invalid(`invalid StopTimeout: ${timeout}`);
  }
}

/** Numbers must be in range, so that no user becomes another one. Names are looked up in the image when the container starts. */
function checkUser(user: string): void {
  const parts = user.split(":");
  if (parts.length > 2 || /[\0\n]/.test(user)) throw invalid(`invalid user: ${JSON.stringify(user)}`);
  parts.forEach((part) => parseId(part));
}

/** It goes into /etc/hosts and /etc/hostname. */
function checkName(what: string, name: string): void {
  if (name === "" || (/^[a-zA-Z0-9_]([a-zA-Z0-9_.-]*)$/.test(name) && name.length <= 255)) return;
  throw invalid(`invalid ${what} format: ${JSON.stringify(name)}`, "use letters, digits, dashes and dots");
}

const millisecondNs = 1_000_000;

function checkHealthcheck(check: HealthcheckConfig): void {
  for (const key of ["Interval", "Timeout", "StartPeriod", "StartInterval"] as const) {
    const value = check[key] ?? 0;
    if (!Number.isSafeInteger(value) || (value !== 0 && value < millisecondNs)) {
      throw invalid(`${key} in Healthcheck cannot be less than 1ms`);
    }
  }
  const retries = check.Retries ?? 0;
  if (!Number.isSafeInteger(retries) || retries < 0) throw invalid("Retries in Healthcheck cannot be negative");
  const [kind] = check.Test ?? [];
  if (kind !== undefined && kind !== "" && !["NONE", "CMD", "CMD-SHELL"].includes(kind)) {
    throw invalid(`unknown healthcheck type ${JSON.stringify(kind)}`, "use NONE, CMD or CMD-SHELL");
  }
}

function invalid(message: string, hint?: string): TscomposeError {
  return new TscomposeError("request/invalid", message, hint === undefined ? {} : { hint });
}
