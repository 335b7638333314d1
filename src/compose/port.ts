import { TscomposeError } from "../errors.ts";
import { label } from "../planner/labels.ts";
import { observedContainer } from "../planner/observed.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices, oneContainer } from "./select.ts";

export interface PortQuery {
  readonly service: string;
  /** In the container. */
  readonly port: number;
  readonly protocol: string;
  /** 0: the first. */
  readonly index: number;
}

/** `address:port` of the host. @throws request/not-found where the port is not published. */
export async function publishedPort(
  context: ComposeContext,
  reference: ProjectReference,
  query: PortQuery,
): Promise<string> {
  const { service, port, protocol, index } = query;
  const filters = { label: [`${label.project}=${reference.name}`] };
  const summaries = await context.docker.listContainers({ all: true, filters, abortSignal: context.signal });
  const observed = summaries.map(observedContainer);
  checkServices(reference, observed, reference.project === undefined ? [] : [service]);
  const container = oneContainer(observed, service, { index, running: false });
  const ports = summaries.find(({ Id }) => Id === container.id)?.Ports ?? [];
  const found = ports.find(
    ({ PrivatePort, PublicPort, Type }) => PrivatePort === port && Type === protocol && PublicPort !== undefined,
  );
  if (found?.PublicPort === undefined) {
    const others = ports.map(({ PrivatePort, Type }) => `${PrivatePort}/${Type}`).join(", ");
    throw new TscomposeError(
      "request/not-found",
      `no port ${port}/${protocol} for container ${container.name}: ${others}`,
    );
  }
  const address = found.IP ?? "";
  return `${address.includes(":") ? `[${address}]` : address}:${found.PublicPort}`;
}
