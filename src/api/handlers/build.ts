/** `POST /build`: Docker's classic request (a tar and a query), answered by our builder. Source: engine-api reference, 5.1. */
import { TscomposeError, errorMessage, isTscomposeError } from "../../errors.ts";
import type { BuildRequest, BuildService, ContextSource } from "../../engine/build/types.ts";
import type { Call, Handler } from "../call.ts";
import { readBoolean, readInteger, readText } from "../query.ts";
import { cacheSources, credentialsByHost, jsonParameter, ownOptions, stringMap, ulimitList } from "../build-query.ts";
import type { OwnBuildOptions } from "../build-query.ts";
import type { ProgressMessage } from "../wire.ts";

function unsupported(what: string, hint: string): TscomposeError {
  return new TscomposeError("request/unsupported", `${what} is not supported by this engine`, { hint });
}

function positive(call: Call, key: string): number | undefined {
  const value = readInteger(call.query, key);
  return value === undefined || value === 0 ? undefined : value;
}

function limitsOf(call: Call): BuildRequest["limits"] {
  const numbers = {
    shmSize: positive(call, "shmsize"),
    memory: positive(call, "memory"),
    memorySwap: positive(call, "memswap"),
    cpuShares: positive(call, "cpushares"),
    cpuPeriod: positive(call, "cpuperiod"),
    cpuQuota: positive(call, "cpuquota"),
    cpusetCpus: readText(call.query, "cpusetcpus"),
    cpusetMems: readText(call.query, "cpusetmems"),
    cgroupParent: readText(call.query, "cgroupparent"),
    ulimits: ulimitList(jsonParameter(call.query, "ulimits")),
  };
  return Object.fromEntries(Object.entries(numbers).filter(([, value]) => value !== undefined));
}

/** `extrahosts` may be given several times, or once with commas. */
function extraHosts(call: Call): readonly string[] {
  return call.query
    .getAll("extrahosts")
    .flatMap((value) => value.split(","))
    .filter((value) => value !== "");
}

/** `remote`: a repository or a URL, for the engine to fetch. `client-session`: the body, as without it. */
function contextOf(query: URLSearchParams, own: OwnBuildOptions): ContextSource {
  const remote = readText(query, "remote");
  if (remote !== undefined && remote !== "client-session") {
    return { kind: "remote", url: remote };
  }
  return own.folder === undefined ? { kind: "tar" } : { kind: "folder", folder: own.folder };
}

function requestOf(call: Call): BuildRequest {
  const { query } = call;
  const version = readText(query, "version") ?? "1";
  if (version !== "1" && version !== "2")
    throw new TscomposeError("request/invalid", `invalid version ${version}`, { hint: "use 1 or 2" });
  if (readBoolean(query, "squash")) throw unsupported("squash", "leave it out");
  const outputs = readText(query, "outputs");
  if (outputs !== undefined && outputs !== "null" && outputs !== "[]")
    throw unsupported("another output than the image store", "build, then save or export the image");
  const own = ownOptions(call.headers);
  const noCache = readBoolean(query, "nocache");
  return {
    context: contextOf(query, own),
    namedContexts: own.namedContexts,
    dockerfile: readText(query, "dockerfile"),
    dockerfileText: own.dockerfileText,
    ignoreText: own.ignoreText,
    tags: query.getAll("t").filter((tag) => tag !== ""),
    target: readText(query, "target"),
    buildArgs: stringMap(jsonParameter(query, "buildargs"), "buildargs"),
    labels: stringMap(jsonParameter(query, "labels"), "labels"),
    platform: readText(query, "platform"),
    noCache: noCache ? "all" : own.noCacheFilter.length > 0 ? own.noCacheFilter : "none",
    cacheFrom: [...own.cacheFrom, ...cacheSources(query)],
    cacheTo: own.cacheTo,
    pull: readBoolean(query, "pull"),
    quiet: readBoolean(query, "q"),
    progress: own.rich ? "steps" : "classic",
    network: readText(query, "networkmode"),
    extraHosts: extraHosts(call),
    limits: limitsOf(call),
    secrets: own.secrets,
    ssh: own.ssh,
    check: own.check,
    debug: own.debug,
    credentials: credentialsByHost(call.headers),
    allow: own.allow,
    signal: call.signal,
  };
}

/** A failure after the headers is the last line; the CLI ends with its code. */
async function* lines(messages: AsyncIterable<ProgressMessage>): AsyncGenerator<Buffer, void, void> {
  const line = (message: ProgressMessage): Buffer => Buffer.from(`${JSON.stringify(message)}\r\n`);
  try {
    for await (const message of messages) yield line(message);
  } catch (error) {
    const code = isTscomposeError(error) ? error.details["exitCode"] : undefined;
    const message = failureText(error);
    yield line({ errorDetail: { message, ...(typeof code === "number" ? { code } : {}) }, error: message });
  }
}

function failureText(error: unknown): string {
  const message = errorMessage(error);
  if (!isTscomposeError(error)) return message;
  const { line, isPlaced } = error.details;
  const place =
    isPlaced !== true && typeof line === "number" && line > 0 && !/ on line \d/.test(message) ? ` (line ${line})` : "";
  const hint = error.hint === undefined ? "" : `\n${error.hint}`;
  return typeof error.details["exitCode"] === "number" ? message : `${message}${place}${hint}`;
}

/** BuildKit's form of progress; what knows it is loaded with the first such build. */
async function traced(
  builds: BuildService,
  request: BuildRequest,
  call: Call,
): Promise<AsyncIterable<ProgressMessage>> {
  const { traceMessages } = await import("../buildkit/trace-messages.ts");
  return traceMessages(builds, request, call.bytes());
}

export const build: Handler = async (call, engine) => {
  if (engine.builds === undefined) throw unsupported("building an image", "build it elsewhere and load the archive");
  const request = requestOf(call);
  const isTraced = readText(call.query, "version") === "2" && request.progress !== "steps";
  const messages = isTraced
    ? await traced(engine.builds, request, call)
    : await engine.builds.build(request, call.bytes());
  return { kind: "stream", contentType: "application/json", chunks: lines(messages) };
};
