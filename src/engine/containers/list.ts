/** Lists of containers: filters as Docker has them. Pure. Source: engine-api.md section 4. */
import { TscomposeError } from "../../errors.ts";
import { parseRfc3339 } from "../../host/clock.ts";
import { matchesLabel } from "../events.ts";
import type { ContainerListOptions } from "../engine.ts";
import type { ContainerSummary, Filters } from "../types.ts";
import { visibleMounts } from "../volumes/resolve-mounts.ts";
import { exposedPorts, parsePort } from "./network-plan.ts";
import { networkSettings, portSummaries, type NetworkLookup } from "./network-settings.ts";
import type { ContainerRecord } from "./record.ts";
import { commandText, statusText } from "./status-text.ts";

export interface ListFacts {
  readonly nowNs: bigint;
  readonly lookup: NetworkLookup;
  /** What a container suffers on purpose: `cut off`. */
  readonly faultsOf: (id: string) => readonly string[];
  /** Image ids that an `ancestor` filter value stands for: the image, and those built on it. */
  readonly ancestors: (ref: string) => readonly string[];
  /** Creation time of the container that `before` or `since` names. @throws container/not-found */
  readonly createdOf: (ref: string) => string;
}

const statuses = ["created", "running", "paused", "restarting", "removing", "exited", "dead"];
const known = new Set(
  "ancestor before exited expose health id is-task isolation label name network publish since status volume".split(" "),
);

/** Newest first, as the records come. @throws request/invalid for a filter that Docker does not know */
export function selectContainers(
  records: readonly ContainerRecord[],
  options: ContainerListOptions,
  facts: ListFacts,
): readonly ContainerRecord[] {
  const { filters, limit } = options;
  for (const key of filters.keys()) {
    if (!known.has(key)) throw new TscomposeError("request/invalid", `invalid filter '${key}'`);
  }
  for (const status of filters.get("status") ?? []) {
    if (!statuses.includes(status)) {
      throw new TscomposeError("request/invalid", `invalid filter 'status=${status}'`, {
        hint: `use one of ${statuses.join(", ")}`,
      });
    }
  }
  const limited = limit !== undefined && limit > 0;
  const all = options.all || limited || ["status", "exited"].some((key) => filters.has(key));
  const chosen = records.filter((record) => (all || isUp(record)) && matches(record, filters, facts));
  return limited ? chosen.slice(0, limit) : chosen;
}

const isUp = ({ state }: ContainerRecord): boolean =>
  state.status === "running" || state.status === "paused" || state.status === "restarting";

function matches(record: ContainerRecord, filters: Filters, facts: ListFacts): boolean {
  return [...filters].every(
    ([key, values]) =>
      values.length === 0 ||
      (key === "label"
        ? values.every((value) => matchesLabel(record.config.Labels ?? {}, value))
        : values.some((value) => matchesOne(record, { key, value }, facts))),
  );
}

function matchesOne(
  record: ContainerRecord,
  { key, value }: { readonly key: string; readonly value: string },
  facts: ListFacts,
): boolean {
  switch (key) {
    case "id":
      return record.id.startsWith(value);
    case "name":
      return matchesName(record.name, value);
    case "status":
      return record.state.status === value;
    case "exited":
      return record.state.status === "exited" && record.state.exitCode === Number(value);
    case "health":
      return (record.state.health?.Status ?? "none") === value;
    case "ancestor":
      return record.imageRef === value || facts.ancestors(value).includes(record.imageId);
    case "before":
      return record.created < facts.createdOf(value);
    case "since":
      return record.created > facts.createdOf(value);
    case "network":
      return networksOf(record, facts.lookup).some(({ id, name }) => name === value || id.startsWith(value));
    case "volume":
      return record.mounts.some(({ Name, Destination }) => Name === value || Destination === value);
    case "expose":
      return exposedPorts(record.config).some((port) => inRange(value, port));
    case "publish":
      return (record.state.sandbox?.ports ?? []).some(({ hostPort, protocol }) =>
        inRange(value, { port: hostPort, protocol }),
      );
    case "isolation":
      return value === "default" || value === "";
    case "is-task":
      return !["1", "true", "True", "TRUE", "t", "T"].includes(value);
    default:
      return true;
  }
}

/** A regular expression that may name the leading slash. */
function matchesName(name: string, pattern: string): boolean {
  try {
    const expression = new RegExp(pattern);
    return expression.test(`/${name}`) || expression.test(name);
  } catch {
    return name === pattern || `/${name}` === pattern;
  }
}

function networksOf(
  record: ContainerRecord,
  lookup: NetworkLookup,
): readonly { readonly id: string; readonly name: string }[] {
  const refs = Object.keys(record.endpoints);
  const mode = record.hostConfig.NetworkMode ?? "";
  return (refs.length > 0 ? refs : [mode]).map((ref) => lookup(ref) ?? { id: ref, name: ref });
}

/** `80`, `80/udp`, `80-90/tcp`. */
function inRange(text: string, { port, protocol }: { readonly port: number; readonly protocol: string }): boolean {
  const [, first = "", last = first, wanted = "tcp"] = /^(\d+)(?:-(\d+))?(?:\/(\w+))?$/.exec(text) ?? [];
  if (first === "") return parsePort(text).port === port;
  return port >= Number(first) && port <= Number(last) && protocol === wanted;
}

export function summarise(record: ContainerRecord, facts: ListFacts): ContainerSummary {
  const createdNs = parseRfc3339(record.created) ?? 0n;
  const { health } = record.state;
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    Image: record.imageRef,
    ImageID: record.imageId,
    Command: commandText(record.path, record.args),
    Created: Number(createdNs / 1_000_000_000n),
    Ports: portSummaries(record),
    Labels: record.config.Labels ?? {},
    State: record.state.status,
    Status: [statusText(record.state, facts.nowNs), ...facts.faultsOf(record.id).map((text) => `(${text})`)].join(" "),
    HostConfig: { NetworkMode: record.hostConfig.NetworkMode ?? "" },
    NetworkSettings: { Networks: networkSettings(record, facts.lookup) },
    Mounts: visibleMounts(record.mounts, record.hostConfig),
    Health: { Status: health?.Status ?? "none", FailingStreak: health?.FailingStreak ?? 0 },
  };
}
