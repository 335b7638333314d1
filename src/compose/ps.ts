import type { ContainerSummary } from "../api/wire.ts";
import { TscomposeError } from "../errors.ts";
import { label } from "../planner/labels.ts";
import { observedContainer, type ObservedContainer } from "../planner/observed.ts";

import type { ComposeContext, ProjectReference } from "./context.ts";
import { checkServices } from "./select.ts";

export interface PsOptions {
  readonly services: readonly string[];
  /** Also ended ones and one-offs. */
  readonly all: boolean;
  /** Of services the model does not know. */
  readonly orphans: boolean;
  /** Empty: any. */
  readonly status: readonly string[];
}

export interface PsRow extends ObservedContainer {
  readonly summary: ContainerSummary;
}

const states: readonly string[] = ["paused", "restarting", "removing", "running", "dead", "created", "exited"];

/** Containers of the project, by name. @throws request/not-found for an unknown service; compose/usage for an unknown status. */
export async function ps(
  context: ComposeContext,
  reference: ProjectReference,
  options: PsOptions,
): Promise<readonly PsRow[]> {
  for (const status of options.status) {
    if (!states.includes(status)) {
      throw new TscomposeError("compose/usage", `unknown container status "${status}"`, {
        hint: `one of: ${states.join(", ")}`,
      });
    }
  }
  const all = options.all || options.status.length > 0;
  const oneoffs = all ? [] : [`${label.oneoff}=False`];
  const filters = { label: [`${label.project}=${reference.name}`, label.configHash, ...oneoffs] };
  const summaries = await context.docker.listContainers({ all, filters, abortSignal: context.signal });
  const rows = summaries.map((summary): PsRow => ({ ...observedContainer(summary), summary }));
  checkServices(reference, rows, reference.project === undefined && rows.length === 0 ? [] : options.services);
  const { project } = reference;
  return rows
    .filter(({ service }) => options.services.length === 0 || options.services.includes(service))
    .filter(
      ({ service }) =>
        options.orphans ||
        project === undefined ||
        Object.hasOwn(project.services, service) ||
        Object.hasOwn(project.disabledServices, service),
    )
    .filter(({ state }) => options.status.length === 0 || options.status.includes(state))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
}
