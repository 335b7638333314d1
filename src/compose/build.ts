import { Readable } from "node:stream";

import { TscomposeError, errorMessage, isTscomposeError } from "../errors.ts";
import type { ProgressMessage } from "../api/wire.ts";
import type { Project } from "../spec/model.ts";

import { buildRequest, type BuildOverrides, type BuildRequest } from "./build-request.ts";
import type { ComposeContext } from "./context.ts";
import { registryOf } from "./pull-image.ts";

export interface BuildOptions extends BuildOverrides {
  /** Hears of each line that a build writes. */
  readonly onLine?: (service: string, line: string) => void;
}

export const plainBuild: BuildOverrides = { noCache: false, pull: false, args: {}, memoryBytes: undefined };

/** Lines of a failed build that are shown with the failure. */
const shownLines = 30;

/** Builds the images of the services of `project` that have a `build:`, all at the same time.
 *  @returns what was built: service -> image id
 *  @throws the first failure, when all have ended */
export async function build(
  context: ComposeContext,
  project: Project,
  options: BuildOptions,
): Promise<ReadonlyMap<string, string>> {
  const services = Object.entries(project.services).flatMap(([name, spec]) => (spec.build === undefined ? [] : [name]));
  const requests = services.map((service) => [service, buildRequest(project, service, options)] as const);
  const results = await Promise.allSettled(
    requests.map(
      async ([service, request]) => [service, await buildOne(context, service, { request, options })] as const,
    ),
  );
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return new Map(results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])));
}

async function buildOne(
  context: ComposeContext,
  service: string,
  { request, options }: { readonly request: BuildRequest; readonly options: BuildOptions },
): Promise<string> {
  const { reference } = request;
  for (const key of request.ignored) context.onWarning(`service ${service}: build.${key} has no effect here`);
  const tell = (status: "working" | "done" | "error", text: string, details?: string): void =>
    context.onProgress({ kind: "Image", name: reference, status, text, ...(details === undefined ? {} : { details }) });
  tell("working", "Building");
  const lines = new LineSplitter((line) => {
    if (options.onLine === undefined) tell("working", "Building", line);
    else options.onLine(service, line);
  });
  try {
    const imageId = await run(context, request, lines, service);
    tell("done", "Built");
    return imageId;
  } catch (error) {
    if (context.signal.aborted) throw new TscomposeError("aborted", `build of ${service} aborted`, { cause: error });
    tell("error", "Error", errorMessage(error).split("\n", 1)[0]);
    throw failure(service, error, options.onLine === undefined ? lines.last : []);
  }
}

function failure(service: string, error: unknown, output: readonly string[]): TscomposeError {
  const tail = output.length === 0 ? "" : `\n${output.map((line) => `  > ${line}`).join("\n")}`;
  return new TscomposeError("build/failed", `cannot build service ${service}: ${errorMessage(error)}${tail}`, {
    cause: error,
    ...(isTscomposeError(error) && error.hint !== undefined ? { hint: error.hint } : {}),
  });
}

async function run(
  context: ComposeContext,
  request: BuildRequest,
  lines: LineSplitter,
  service: string,
): Promise<string> {
  const packed = await context.packContext({
    directory: request.contextDirectory,
    dockerfile: request.dockerfile,
    dockerfileText: request.dockerfileText,
  });
  const secrets = await context.readSecrets(request.secrets);
  const stream = await context.docker.buildImage(Readable.from(packed.archive), {
    ...request.query,
    dockerfile: packed.dockerfile,
    abortSignal: context.signal,
    registryconfig: await registryConfig(context, packed.bases),
    tscomposeBuild: { allow: request.entitlements, secrets },
  });
  let imageId = "";
  for await (const message of context.docker.modem.progress(stream, context.signal)) {
    const aux = auxOf(message);
    if (aux.warning !== undefined) context.onWarning(`service ${service}: ${aux.warning}`);
    if (aux.id !== undefined) imageId = aux.id;
    if (message.stream !== undefined) lines.write(message.stream);
  }
  lines.end();
  return imageId;
}

function auxOf({ aux }: ProgressMessage): { readonly id?: string; readonly warning?: string } {
  if (typeof aux !== "object" || aux === null) return {};
  if ("ID" in aux && typeof aux.ID === "string") return { id: aux.ID };
  return "warning" in aux && typeof aux.warning === "string" ? { warning: aux.warning } : {};
}

/** Credentials for the registries of the base images. */
async function registryConfig(
  context: ComposeContext,
  bases: readonly string[],
): Promise<Readonly<Record<string, object>>> {
  const hosts = [...new Set(bases.map(registryOf))];
  const found = await Promise.all(hosts.map(async (host) => [host, await context.credentials(host)] as const));
  return Object.fromEntries(found.flatMap(([host, value]) => (value === undefined ? [] : [[host, value] as const])));
}

/** Text in pieces to whole lines. */
class LineSplitter {
  readonly #sink: (line: string) => void;
  #rest = "";
  /** The last lines. */
  readonly last: string[] = [];

  constructor(sink: (line: string) => void) {
    this.#sink = sink;
  }

  write(text: string): void {
    const parts = (this.#rest + text).split("\n");
    this.#rest = parts.pop() ?? "";
    for (const part of parts) this.#line(part);
  }

  end(): void {
    if (this.#rest !== "") this.#line(this.#rest);
    this.#rest = "";
  }

  #line(given: string): void {
    const line = given.replace(/\r$/, "");
    if (line === "") return;
    this.last.push(line);
    if (this.last.length > shownLines) this.last.shift();
    this.#sink(line);
  }
}
