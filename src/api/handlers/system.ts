/** `/_ping`, `/version`, `/info`, `/events`, `/system/df`, `/plugins`. */
import { TscomposeError } from "../../errors.ts";
import { ok } from "../call.ts";
import type { Handler, Reply } from "../call.ts";
import { readFilters, readMoment } from "../query.ts";
import { apiVersion, minApiVersion } from "../routes.ts";
import type { EventMessage } from "../wire.ts";

const pingHeaders = {
  "Builder-Version": "2",
  Swarm: "inactive",
  "Cache-Control": "no-cache, no-store, must-revalidate",
  Pragma: "no-cache",
};
export const ping: Handler = () => Promise.resolve({ kind: "text", text: "OK", headers: pingHeaders });
export const pingHead: Handler = () =>
  Promise.resolve({
    kind: "empty",
    status: 200,
    headers: { ...pingHeaders, "Content-Type": "text/plain; charset=utf-8" },
  });

/** The versions of the API are this layer's own. `docker version` prints those of the component "Engine". */
export const version: Handler = async (_call, engine) => {
  const value: object = await engine.system.version();
  const spoken = { ApiVersion: apiVersion, MinAPIVersion: minApiVersion };
  const components = "Components" in value && Array.isArray(value.Components) ? value.Components : [];
  return ok({ ...value, ...spoken, Components: components.map((component) => withVersions(component, spoken)) });
};

function withVersions(component: unknown, spoken: Readonly<Record<string, string>>): unknown {
  if (typeof component !== "object" || component === null || !("Name" in component)) return component;
  if (component.Name !== "Engine") return component;
  const details = "Details" in component && typeof component.Details === "object" ? component.Details : {};
  return { ...component, Details: { ...details, ...spoken } };
}
export const info: Handler = async (_call, engine) => ok(await engine.system.info());

const objectTypes = ["container", "image", "volume", "build-cache"];
export const diskUsage: Handler = async (call, engine) => {
  const types = call.query.getAll("type").filter((type) => type !== "");
  const unknown = types.find((type) => !objectTypes.includes(type));
  if (unknown !== undefined) throw new TscomposeError("request/invalid", `unknown object type: ${unknown}`);
  return ok(await engine.system.diskUsage(types));
};

export const plugins: Handler = () => Promise.resolve(ok([]));

/** Unknown filter keys are let through here, as Docker does: kinds of objects that never occur match nothing. */
export const events: Handler = (call, engine): Promise<Reply> => {
  const sinceNs = readMoment(call.query, "since");
  const untilNs = readMoment(call.query, "until");
  if (sinceNs !== undefined && untilNs !== undefined && sinceNs > untilNs) {
    throw new TscomposeError("request/invalid", "`since` time cannot be after `until` time");
  }
  const filters = readFilters(call.query, undefined);
  const messages = engine.events.subscribe({ sinceNs, untilNs, filters }, call.signal);
  return Promise.resolve({ kind: "stream", contentType: "application/json", chunks: eventLines(messages) });
};

async function* eventLines(messages: AsyncIterable<EventMessage>): AsyncGenerator<Buffer, void, void> {
  for await (const message of messages) yield Buffer.from(`${renderEvent(message)}\n`);
}

/** JSON with `timeNano` as the integer it is, which no JavaScript number holds. */
export function renderEvent({ timeNano, ...message }: EventMessage): string {
  if (!/^\d{1,19}$/.test(timeNano)) throw new Error(`not a time in nanoseconds: ${timeNano}`);
  return `${JSON.stringify(message).slice(0, -1)},"timeNano":${timeNano}}`;
}
