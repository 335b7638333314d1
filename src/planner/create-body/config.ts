import type { ContainerConfig, HealthcheckConfig, Labels } from "../../api/wire.ts";
import type { Environment, Service } from "../../spec/model.ts";

import { exposedPorts } from "./ports.ts";
import { defined, nanoseconds, seconds } from "./quantities.ts";

/** What does not depend on the host. */
export function containerConfig(spec: Service, image: string, labels: Labels): ContainerConfig {
  return defined<ContainerConfig>({
    Hostname: spec.hostname,
    Domainname: spec.domainname,
    User: spec.user,
    AttachStdout: true,
    AttachStderr: true,
    ExposedPorts: exposedPorts(spec),
    Tty: spec.tty,
    OpenStdin: spec.stdin_open,
    Env: spec.environment === undefined ? undefined : environmentList(spec.environment),
    Cmd: spec.command ?? undefined,
    Entrypoint: spec.entrypoint ?? undefined,
    Healthcheck: healthcheck(spec),
    Image: image,
    WorkingDir: spec.working_dir,
    NetworkDisabled: spec.network_mode === "disabled" ? true : undefined,
    Labels: labels,
    StopSignal: spec.stop_signal,
    StopTimeout: seconds(spec.stop_grace_period),
  } as ContainerConfig);
}

/** A name without a value takes the variable out of the image's environment. */
export function environmentList(environment: Environment): readonly string[] {
  return Object.entries(environment).map(([name, value]) => (value === null ? name : `${name}=${value}`));
}

function healthcheck({ healthcheck: check }: Service): HealthcheckConfig | undefined {
  if (check === undefined) return undefined;
  if (check.disable === true) return { Test: ["NONE"] };
  return defined<HealthcheckConfig>({
    Test: check.test,
    Interval: nanoseconds(check.interval),
    Timeout: nanoseconds(check.timeout),
    Retries: check.retries,
    StartPeriod: nanoseconds(check.start_period),
    StartInterval: nanoseconds(check.start_interval),
  } as HealthcheckConfig);
}
