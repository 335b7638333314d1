import { TscomposeError, errorMessage, isTscomposeError } from "../errors.ts";
import type { Project } from "../spec/model.ts";

import { buildProgress, type BuildProgress } from "./build-progress.ts";
import { buildRequest, type BuildOverrides, type BuildRequest } from "./build-request.ts";
import { buildPeer, sendBuild, type BuildPeer } from "./build-transport.ts";
import type { ComposeContext } from "./context.ts";

export interface BuildOptions extends BuildOverrides {
  /** Only look for problems in the Dockerfiles. */
  readonly check?: boolean;
  /** Keep the state before a step that fails: `onProgress` hears of it. */
  readonly debug?: boolean;
  /** Failures are told without the last output: `onProgress` has shown it. */
  readonly showsOutput?: boolean;
  /** Hears of all that a build tells. */
  readonly onProgress?: (service: string, progress: BuildProgress) => void;
}

export const plainBuild: BuildOverrides = { noCache: false, pull: false, args: {}, memoryBytes: undefined, ssh: [] };

/** Lines of a failed build that are shown with the failure. */
const shownLines = 30;

/** Builds the images of the services of `project` that have a `build:`, all at the same time, but each after those whose images
 *  it builds on (`additional_contexts: service:`), which are built too where they are not named.
 *  @returns what was built: service -> image id
 *  @throws the first failure, when all have ended */
export async function build(
  context: ComposeContext,
  project: Project,
  options: BuildOptions,
): Promise<ReadonlyMap<string, string>> {
  const requests = requestsOf(project, options);
  if (requests.size === 0) return new Map();
  const peer = await buildPeer(context);
  const builds = new Map<string, Promise<string>>();
  const start = (service: string): Promise<string> => {
    const known = builds.get(service);
    if (known !== undefined) return known;
    const request = requests.get(service);
    if (request === undefined) throw new Error(`no build of ${service}`);
    const work = buildOne(context, service, { request, options, peer, imageOf: start });
    builds.set(service, work);
    return work;
  };
  const results = await Promise.allSettled(
    [...requests.keys()].map(async (service) => [service, await start(service)] as const),
  );
  for (const result of results) if (result.status === "rejected") throw result.reason;
  return new Map(results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : [])));
}

/** Of the services that take part, and of those that they build on. */
export function requestsOf(project: Project, overrides: BuildOverrides): ReadonlyMap<string, BuildRequest> {
  const requests = new Map<string, BuildRequest>();
  const visit = (service: string, path: readonly string[]): void => {
    if (path.includes(service))
      throw new TscomposeError("spec/invalid", `builds need each other: ${[...path, service].join(" -> ")}`, {
        hint: "take one of the additional_contexts out",
      });
    if (requests.has(service)) return;
    const request = buildRequest(project, service, overrides);
    for (const context of Object.values(request.contexts))
      if (context.kind === "service") visit(context.service, [...path, service]);
    requests.set(service, request);
  };
  for (const [name, spec] of Object.entries(project.services)) if (spec.build !== undefined) visit(name, []);
  return requests;
}

interface OneBuild {
  readonly request: BuildRequest;
  readonly options: BuildOptions;
  readonly peer: BuildPeer;
  readonly imageOf: (service: string) => Promise<string>;
}

async function buildOne(context: ComposeContext, service: string, one: OneBuild): Promise<string> {
  const { request, options } = one;
  const { reference } = request;
  for (const key of request.ignored) context.onWarning(`service ${service}: build.${key} has no effect here`);
  const tell = (status: "working" | "done" | "error", text: string, details?: string): void =>
    context.onProgress({ kind: "Image", name: reference, status, text, ...(details === undefined ? {} : { details }) });
  tell("working", options.check === true ? "Checking" : "Building");
  const lines = new LineSplitter((line) => {
    if (options.onProgress === undefined) tell("working", "Building", line);
  });
  try {
    const imageId = await run(context, service, { ...one, lines });
    tell("done", options.check === true ? "Checked" : "Built");
    return imageId;
  } catch (error) {
    if (context.signal.aborted) throw new TscomposeError("aborted", `build of ${service} aborted`, { cause: error });
    tell("error", "Error", errorMessage(error).split("\n", 1)[0]);
    throw failure(service, error, options.showsOutput === true ? [] : lines.last);
  }
}

function failure(service: string, error: unknown, output: readonly string[]): TscomposeError {
  const tail = output.length === 0 ? "" : `\n${output.map((line) => `  > ${line}`).join("\n")}`;
  return new TscomposeError("build/failed", `cannot build service ${service}: ${errorMessage(error)}${tail}`, {
    cause: error,
    ...hintOf(service, error),
  });
}

function hintOf(service: string, error: unknown): { readonly hint?: string } {
  if (isTscomposeError(error) && error.hint !== undefined) return { hint: error.hint };
  if (!/returned a non-zero code/.test(errorMessage(error))) return {};
  return { hint: `look inside with: tscompose build --debug-shell ${service}` };
}

async function run(
  context: ComposeContext,
  service: string,
  { request, options, peer, imageOf, lines }: OneBuild & { readonly lines: LineSplitter },
): Promise<string> {
  const send = { peer, check: options.check === true, debug: options.debug === true, imageOf };
  const messages = await sendBuild(context, service, { request, options: send });
  let imageId = "";
  const titles = new Map<number, string>();
  for await (const message of messages) {
    for (const progress of buildProgress(message)) {
      if (progress.kind === "image") imageId = progress.imageId;
      else if (progress.kind === "plan") for (const { id, title } of progress.steps) titles.set(id, title);
      else if (progress.kind === "started") lines.write(`${titles.get(progress.step) ?? ""}\n`);
      else if (progress.kind === "text" || progress.kind === "output") lines.write(progress.text);
      else if (progress.kind === "warning" && options.onProgress === undefined)
        context.onWarning(`service ${service}: ${progress.text}`);
      options.onProgress?.(service, progress);
    }
  }
  lines.end();
  return imageId;
}

/** Text in pieces to whole lines. */
export class LineSplitter {
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
