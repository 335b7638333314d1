/** Containers: everything that is one JSON value each way. */
import type { WaitCondition, WaitResult } from "../../engine/engine.ts";
import { TscomposeError, errorMessage } from "../../errors.ts";
import { commitBody, containerCreateBody, containerUpdateBody, execCreateBody } from "../bodies.ts";
import { created, empty, ok, parameter } from "../call.ts";
import type { Call, Handler, Reply } from "../call.ts";
import { joinReference } from "./images.ts";
import { readBoolean, readFilters, readInteger, readText } from "../query.ts";
import type { ContainerConfig, ContainerCreateBody, ExecConfig, Resources, RestartPolicy } from "../wire.ts";

const listFilters =
  "ancestor before exited expose health id is-task isolation label name network publish since status volume".split(" ");
const pruneFilters = ["label", "label!", "until"];
const id = (call: Call): string => parameter(call, "id");

export const list: Handler = async (call, engine) => {
  const limit = readInteger(call.query, "limit");
  const filters = readFilters(call.query, listFilters);
  const limited = limit !== undefined && limit > 0;
  const all = readBoolean(call.query, "all") || limited || (filters.get("status") ?? []).length > 0;
  const size = readBoolean(call.query, "size");
  return ok(await engine.containers.list({ all, limit: limited ? limit : undefined, size, filters }));
};

export const create: Handler = async (call, engine) => {
  const body = await call.json<ContainerCreateBody>(containerCreateBody);
  if (body === undefined) {
    throw new TscomposeError("request/invalid", "config cannot be empty in order to create a container");
  }
  const name = readText(call.query, "name")?.replace(/^\//, "");
  return created(await engine.containers.create(name, body, { platform: readText(call.query, "platform") }));
};

export const inspect: Handler = async (call, engine) =>
  ok(await engine.containers.inspect(id(call), { size: readBoolean(call.query, "size") }));

/** dockerd takes no body since 1.24; up to 7 bytes pass for the `null` and `{}` of old clients. */
export const start: Handler = async (call, engine) => {
  const length = Number(call.headers["content-length"] ?? 0);
  if (length > 7 || (call.headers["transfer-encoding"] !== undefined && (await hasBytes(call)))) {
    throw new TscomposeError("request/invalid", "starting a container with a request body is not supported");
  }
  if (readText(call.query, "checkpoint") !== undefined) {
    throw new TscomposeError("request/unsupported", "checkpoints are not supported by this engine");
  }
  await engine.containers.start(id(call));
  return empty(204);
};

async function hasBytes(call: Call): Promise<boolean> {
  for await (const chunk of call.bytes()) if (chunk.length > 0) return true;
  return false;
}

function stopOptions(call: Call): { readonly timeoutSeconds: number | undefined; readonly signal: string | undefined } {
  return { timeoutSeconds: readInteger(call.query, "t"), signal: readText(call.query, "signal") };
}
/** What a person should know of it goes along as RFC 7234's Warning: bodies and codes stay Docker's. */
function noted(note: string | undefined): Reply {
  const headers = { Warning: `299 - ${JSON.stringify(note)}` };
  return { kind: "empty", status: 204, ...(note === undefined ? {} : { headers }) };
}
export const stop: Handler = async (call, engine) => {
  return noted(await engine.containers.stop(id(call), stopOptions(call)));
};
export const restart: Handler = async (call, engine) => {
  return noted(await engine.containers.restart(id(call), stopOptions(call)));
};
export const kill: Handler = async (call, engine) => {
  await engine.containers.kill(id(call), readText(call.query, "signal"));
  return empty(204);
};
export const pause: Handler = async (call, engine) => {
  await engine.containers.pause(id(call));
  return empty(204);
};
export const unpause: Handler = async (call, engine) => {
  await engine.containers.unpause(id(call));
  return empty(204);
};
export const rename: Handler = async (call, engine) => {
  const name = readText(call.query, "name");
  if (name === undefined) throw new TscomposeError("request/invalid", "neither old nor new names may be empty");
  await engine.containers.rename(id(call), name.replace(/^\//, ""));
  return empty(204);
};
export const update: Handler = async (call, engine) => {
  type Changes = Resources & { readonly RestartPolicy?: RestartPolicy };
  return ok(await engine.containers.update(id(call), (await call.json<Changes>(containerUpdateBody)) ?? {}));
};

const conditions: ReadonlyMap<string, WaitCondition> = new Map([
  ["", "not-running"],
  ["not-running", "not-running"],
  ["next-exit", "next-exit"],
  ["removed", "removed"],
]);
/** The headers leave at once: `docker run` starts the container when it has them. */
export const wait: Handler = async (call, engine) => {
  const text = call.query.get("condition") ?? "";
  const condition = conditions.get(text);
  if (condition === undefined) throw new TscomposeError("request/invalid", `invalid condition: "${text}"`);
  const { result } = await engine.containers.wait(id(call), condition);
  const failed = (error: unknown): WaitResult => ({ StatusCode: -1, Error: { Message: errorMessage(error) } });
  return { kind: "later", value: Promise.race([result.catch(failed), cancelled(call.signal)]) };
};

function cancelled(signal: AbortSignal): Promise<WaitResult> {
  return new Promise((resolve) => {
    const settle = (): void => resolve({ StatusCode: -1, Error: { Message: "context canceled" } });
    if (signal.aborted) settle();
    else signal.addEventListener("abort", settle, { once: true });
  });
}

export const remove: Handler = async (call, engine) => {
  await engine.containers.remove(id(call), {
    force: readBoolean(call.query, "force"),
    volumes: readBoolean(call.query, "v"),
    link: readBoolean(call.query, "link"),
  });
  return empty(204);
};

/** Height and width in characters. */
export function readSize(call: Call): readonly [height: number, width: number] {
  const [height, width] = [readInteger(call.query, "h"), readInteger(call.query, "w")];
  if (height === undefined || width === undefined || height < 0 || width < 0 || height > 65535 || width > 65535) {
    throw new TscomposeError("request/invalid", "h and w must be integers from 0 to 65535");
  }
  return [height, width];
}
export const resize: Handler = async (call, engine) => {
  await engine.containers.resize(id(call), ...readSize(call));
  return empty(200);
};
export const top: Handler = async (call, engine) =>
  ok(await engine.containers.top(id(call), readText(call.query, "ps_args") ?? "-ef"));
export const changes: Handler = async (call, engine) => {
  const found = await engine.containers.changes(id(call));
  return ok(found.length === 0 ? null : found);
};
export const prune: Handler = async (call, engine) =>
  ok(await engine.containers.prune(readFilters(call.query, pruneFilters)));

const nothingIn = (config: ContainerConfig | undefined): ContainerConfig | undefined =>
  config === undefined || Object.keys(config).length === 0 ? undefined : config;

/** An empty body, `{}`, `null` and none mean the container's own configuration. */
export const commit: Handler = async (call, engine) => {
  const container = readText(call.query, "container");
  if (container === undefined) throw new TscomposeError("request/invalid", "no container to commit is named");
  const repo = readText(call.query, "repo");
  const made = await engine.containers.commit(container, {
    reference: repo === undefined ? "" : joinReference(repo, readText(call.query, "tag")),
    comment: readText(call.query, "comment") ?? "",
    author: readText(call.query, "author") ?? "",
    pause: readBoolean(call.query, "pause", true),
    changes: call.query.getAll("changes"),
    config: nothingIn(await call.json<ContainerConfig>(commitBody)),
  });
  return created(made);
};

export const exec: Handler = async (call, engine) => {
  const config = await call.json<ExecConfig>(execCreateBody);
  if (config?.Cmd === undefined || config.Cmd === null || config.Cmd.length === 0) {
    throw new TscomposeError("request/invalid", "No exec command specified");
  }
  return created(await engine.exec.create(id(call), config));
};
