/** The builder: contexts in, images out. One for an engine; any number of builds at a time. Below the data root: `build/cache`
 *  (results of steps), `build/mounts` (cache mounts), `build/work` (of builds that run). */
import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, isTscomposeError, TscomposeError } from "../../errors.ts";
import type { ContainerContext } from "../containers/context.ts";
import type { ImageService } from "../engine.ts";
import { familiarName, parseReference, withDefaultTag } from "../images/reference.ts";
import { hostPlatform } from "../images/platform.ts";
import type { Platform } from "../images/platform.ts";
import type { LayerTransfer } from "../images/transfer.ts";
import type { ImageStore } from "../images/types.ts";
import { PushQueue } from "../streams/push-queue.ts";
import type { ProgressMessage } from "../types.ts";
import { buildPlatforms, platformsOf, type PlatformBuild } from "./build-platforms.ts";
import { cachesOf, inlineCache, openImports, wantsEveryStep, writeCaches } from "./cache/build-caches.ts";
import type { BuildCaches } from "./cache/build-caches.ts";
import type { CacheTools } from "./cache/import-cache.ts";
import { outlineOf, targetsOf } from "./checks/outline.ts";
import { renderFinding, renderPlace } from "./checks/render-finding.ts";
import { FolderMirrors } from "./context/folder-mirrors.ts";
import { readClientDockerfile } from "./context/client-context.ts";
import { neededFiles, openContexts } from "./context/named-contexts.ts";
import { openContext } from "./context/open-context.ts";
import type { ContextTools, OpenedContext } from "./context/open-context.ts";
import type { ContextFiles } from "./files/receive-context.ts";
import { resultFiles } from "./files/result-files.ts";
import { planBuild } from "./plan/plan-build.ts";
import type { BuildPlan } from "./plan/plan-build.ts";
import { proxyEnvironment } from "./plan/platform-args.ts";
import { createImageResolver, credentialsFor } from "./solve/base-images.ts";
import type { BuildScope } from "./solve/build-context.ts";
import { BuildCache, cacheLimit } from "./solve/build-cache.ts";
import { CacheMounts } from "./solve/cache-mounts.ts";
import { ClassicProgress } from "./solve/classic-progress.ts";
import { askClient } from "./solve/ask-client.ts";
import type { DockerfileSource, WantedDockerfile } from "./solve/dockerfile-of.ts";
import type { BuildEvent } from "./solve/events.ts";
import { StepProgress } from "./solve/step-progress.ts";
import { RemoteOrigins } from "./solve/remote-origins.ts";
import { imageConfig } from "./solve/image-config.ts";
import { removeLeftovers } from "./solve/run-container.ts";
import type { BuildRoots } from "./solve/run-container.ts";
import { limitsOf } from "./solve/run-limits.ts";
import { RunNetworks } from "./solve/run-networks.ts";
import { Solver } from "./solve/solver.ts";
import type { RunningSteps } from "./solve/solver.ts";
import { StepCache } from "./solve/step-cache.ts";
import { Workspace } from "./solve/workspace.ts";
import type { BuildRequest, BuildService } from "./types.ts";

export interface BuilderOptions {
  readonly engine: ContainerContext;
  readonly images: ImageStore & Pick<ImageService, "pull"> & LayerTransfer;
  /** See `RootFilesystems`. */
  readonly initLayer: string;
}

interface Parts extends BuilderOptions {
  readonly roots: BuildRoots;
  readonly cache: StepCache;
  readonly cacheMounts: CacheMounts;
  readonly mirrors: FolderMirrors;
  readonly kept: BuildCache;
  readonly running: RunningSteps;
  readonly networks: RunNetworks;
  readonly limiting: { timer: NodeJS.Timeout | undefined };
}

/** Removes what a killed engine left, then serves. */
export async function createBuilder(options: BuilderOptions): Promise<BuildService> {
  const { engine } = options;
  const roots = { dataRoot: join(engine.roots.dataRoot, "build"), runRoot: join(engine.roots.runRoot, "build") };
  mkdirSync(roots.dataRoot, { recursive: true, mode: 0o700 });
  await removeLeftovers(engine, roots);
  const cache = new StepCache(join(roots.dataRoot, "cache"), options.images);
  const cacheMounts = new CacheMounts(join(roots.dataRoot, "mounts"));
  const mirrors = new FolderMirrors(join(roots.dataRoot, "contexts"));
  const imageLayers = (): ReadonlySet<string> => options.images.imageLayers();
  const parts: Parts = {
    ...options,
    roots,
    cache,
    cacheMounts,
    mirrors,
    kept: new BuildCache({ steps: cache, mounts: cacheMounts, mirrors, imageLayers, dataRoot: roots.dataRoot }),
    running: new Map(),
    networks: new RunNetworks(engine),
    limiting: { timer: undefined },
  };
  return {
    build: (request, context) => startBuild(parts, request, context),
    run: (request, context, emit) => runWhole(parts, request, { archive: context, emit }),
    usage: () => parts.kept.usage(),
    prune: (pruning) => parts.kept.prune(pruning),
  };
}

/** Lets go of what no result is any more, and of what was used longest ago, down to the limit. */
async function keepToLimit({ cache, kept, roots, engine }: Parts): Promise<void> {
  const maxUsedBytes = cacheLimit(roots.dataRoot, process.env["TSCOMPOSE_BUILD_CACHE_LIMIT"]);
  const limits = { reservedBytes: undefined, maxUsedBytes, minFreeBytes: undefined };
  try {
    cache.releaseStrays();
    await kept.prune({ all: true, matches: () => true, ...limits });
  } catch (error) {
    engine.log("warn", `the build cache could not be brought down to its limit: ${errorMessage(error)}`);
  }
}

/** After a build has answered, once for all that end close together: what is kept has to be measured for it. */
function keepToLimitSoon(parts: Parts): void {
  parts.limiting.timer ??= setTimeout(() => {
    parts.limiting.timer = undefined;
    void keepToLimit(parts);
  }, limitAfterMs).unref();
}

const limitAfterMs = 1000;

/** Characters of output that may wait for a client that reads slowly. */
const maxWaiting = 64 * 1024 * 1024;

interface Started {
  readonly workspace: Workspace;
  readonly tools: ContextTools;
  readonly context: OpenedContext["files"];
  readonly source: DockerfileSource;
  /** None: this machine's. */
  readonly platforms: readonly Platform[];
  readonly caches: BuildCaches;
  readonly tags: readonly string[];
}

async function startBuild(
  parts: Parts,
  request: BuildRequest,
  archive: AsyncIterable<Buffer>,
): Promise<AsyncIterable<ProgressMessage>> {
  return progressOf(parts, request, await openBuild(parts, request, archive));
}

async function runWhole(
  parts: Parts,
  request: BuildRequest,
  at: { readonly archive: AsyncIterable<Buffer>; readonly emit: (event: BuildEvent) => void },
): Promise<string> {
  const started = await openBuild(parts, request, at.archive);
  const endNetworks = parts.networks.begin();
  try {
    return await runPlatforms(parts, request, { ...started, emit: at.emit });
  } finally {
    endNetworks();
    await closeWorkspace(parts, started.workspace);
    await keepToLimit(parts);
  }
}

async function openBuild(parts: Parts, request: BuildRequest, archive: AsyncIterable<Buffer>): Promise<Started> {
  const tags = request.tags.map((tag) => familiarName(withDefaultTag(parseReference(tag))));
  const platforms = platformsOf(request, hostPlatform(parts.engine.host.arch));
  const caches = cachesOf(request);
  const workspace = new Workspace(join(parts.roots.dataRoot, "work", randomBytes(8).toString("hex")), parts.images);
  try {
    const tools = toolsOf(parts, request, workspace);
    const wanted = await wantedDockerfile(request);
    const opened = await openContext(tools, { source: request.context, wanted, archive });
    return { workspace, tools, context: opened.files, source: opened.source, platforms, caches, tags };
  } catch (error) {
    await closeWorkspace(parts, workspace);
    throw error;
  }
}

async function wantedDockerfile(request: BuildRequest): Promise<WantedDockerfile> {
  const { dockerfile: name, dockerfileText: text, ignoreText, dockerfileFolder } = request;
  if (dockerfileFolder === undefined) return { name, text, ignoreText };
  const read = await readClientDockerfile(dockerfileFolder, name);
  return { name: read.name, text: read.text, ignoreText: read.ignoreText ?? ignoreText };
}

function toolsOf(parts: Parts, request: BuildRequest, workspace: Workspace): ContextTools {
  return {
    workspace,
    mirrors: parts.mirrors,
    knownHosts: join(parts.roots.dataRoot, "known_hosts"),
    secrets: request.secrets,
    ssh: request.ssh,
    signal: request.signal,
    defer: (release) => workspace.defer(release),
  };
}

async function closeWorkspace(parts: Parts, workspace: Workspace): Promise<void> {
  for (const problem of await workspace.close())
    parts.engine.log("warn", `the files of a build could not be removed: ${errorMessage(problem)}`);
}

const progressLines = {
  classic: () => new ClassicProgress(),
  steps: () => new StepProgress(),
} as const satisfies Readonly<Record<BuildRequest["progress"], unknown>>;

/** Runs the build while its lines are read. A reader that leaves ends it. */
async function* progressOf(parts: Parts, request: BuildRequest, started: Started): AsyncGenerator<ProgressMessage> {
  const queue = new PushQueue<ProgressMessage>({
    limit: maxWaiting,
    weigh: (message) => (message.stream?.length ?? 0) + 100,
    subject: "build output",
    onClose: () => undefined,
  });
  const gone = new AbortController();
  const signal = AbortSignal.any([request.signal, gone.signal]);
  const progress = progressLines[request.progress]();
  const emit = (event: BuildEvent): void => {
    if (request.quiet) return;
    for (const message of progress.messages(event)) queue.push(message);
    if (event.kind === "planned" && request.progress === "steps") {
      const text = { name: started.source.name, text: started.source.text };
      for (const finding of event.findings) queue.push({ aux: { warning: renderFinding(finding, text) } });
    }
  };
  const endNetworks = parts.networks.begin();
  const work = runPlatforms(parts, { ...request, signal }, { ...started, emit })
    .finally(endNetworks)
    .then(
      (imageId) => {
        if (request.quiet && imageId !== "") queue.push({ stream: `${imageId}\n` });
        queue.end();
      },
      (error: unknown) => {
        const told = request.progress === "steps" ? withExcerpt(error, started.source) : error;
        queue.fail(told instanceof Error ? told : new Error(String(told)));
      },
    );
  try {
    yield* queue;
  } finally {
    gone.abort(new TscomposeError("aborted", "the client has gone"));
    await work;
    await closeWorkspace(parts, started.workspace);
    keepToLimitSoon(parts);
  }
}

/** The failure with the lines of the Dockerfile that it is about. */
function withExcerpt(error: unknown, { name, text }: DockerfileSource): unknown {
  if (!isTscomposeError(error)) return error;
  const { line, endLine } = error.details;
  if (typeof line !== "number" || line < 1) return error;
  const place = { start: line, end: typeof endLine === "number" ? endLine : line };
  const { position, excerpt } = renderPlace({ name, text }, place, error.message);
  return new TscomposeError(error.code, `${position}: ${error.message}\n${excerpt}`, {
    cause: error,
    details: { ...error.details, isPlaced: true },
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

interface Opened extends Started {
  readonly emit: (event: BuildEvent) => void;
}

type Running = Opened & PlatformBuild;

function runPlatforms(parts: Parts, request: BuildRequest, opened: Opened): Promise<string> {
  return buildPlatforms(request, opened, {
    build: (one) => runBuild(parts, request, { ...opened, ...one }),
    join: (ids) => parts.images.joinPlatforms(ids, opened.tags),
    remember: () => parts.images.rememberImages(),
  });
}

async function runBuild(parts: Parts, request: BuildRequest, running: Running): Promise<string> {
  const { source, emit } = running;
  emit({ kind: "dockerfile", name: source.name, text: source.text });
  if (request.onlyTargets === true) {
    emit({ kind: "targets", targets: targetsOf(source.text) });
    return "";
  }
  const buildPlatform = hostPlatform(parts.engine.host.arch);
  const named = await openContexts(running.tools, request, running.context);
  const plan = await planBuild(
    source.text,
    {
      target: request.target,
      buildArgs: request.buildArgs,
      labels: request.labels,
      platform: running.platform,
      buildPlatform,
      namedContexts: named.meanings,
      ignorePatterns: source.ignorePatterns,
      noCache: request.noCache,
      network: networkOf(request.network),
      cacheNamespace: "",
    },
    createImageResolver({
      images: parts.images,
      credentials: request.credentials,
      askCredentials: (registry) => request.client?.credentials(registry) ?? Promise.resolve(undefined),
      alwaysPull: request.pull,
      strictPlatform: running.platform !== undefined,
      onMessage: (message) => emit({ kind: "pull", message }),
      signal: request.signal,
    }),
  );
  emit({
    kind: "planned",
    lines: plan.lines,
    findings: plan.findings,
    steps: plan.steps.map(({ id, title }) => ({ id, title })),
    bases: plan.baseTitles.map(({ title }) => title),
  });
  if (request.check) {
    emit({ kind: "outline", outline: outlineOf(source.text, plan, request) });
    return "";
  }
  const user = parts.cache.enter();
  running.workspace.defer(() => parts.cache.leave(user));
  const { caches } = running;
  const cacheTools = cacheToolsOf(parts, request, running);
  const contexts = await neededFiles(named.files, plan);
  const asked = await askClient(request, plan, running.workspace);
  const solver = new Solver({
    scope: scopeOf(parts, { ...request, ...asked }, { running, plan, contexts }),
    steps: plan.steps,
    cache: parts.cache,
    user,
    running: parts.running,
    platform: running.platform ?? buildPlatform,
    emit,
    keepFailed: request.debug,
    imports: await openImports(cacheTools, caches),
    everyStep: wantsEveryStep(caches),
  });
  const result = await solver.solve(plan.result);
  request.signal.throwIfAborted();
  const { solved } = solver;
  for (const { id: step } of plan.steps)
    if (!solved.has(step)) emit({ kind: "finished", step, cached: true, chainId: "", ms: 0 });
  const inline = inlineCache(caches, solved, { result: plan.result, layers: result.diffIds.length });
  await request.takeFiles?.(resultFiles(running.workspace.readTree(result.chainId).path));
  const config = { ...imageConfig(plan, result), ...inline };
  const imageId = request.keepImage === false ? "" : await parts.images.commitImage(config, running.tags);
  // The image keeps the layers from now on; the cache wants them beyond it.
  if (result.chainId !== undefined && parts.cache.knows(result.chainId)) parts.images.keepChain(result.chainId);
  await writeCaches(cacheTools, caches, { solved, result: plan.result });
  if (imageId !== "") emit({ kind: "done", imageId, tags: running.tags });
  return imageId;
}

function cacheToolsOf(parts: Parts, request: BuildRequest, { workspace, platform, emit }: Running): CacheTools {
  return {
    images: parts.images,
    platform: platform ?? hostPlatform(parts.engine.host.arch),
    credentialsFor: async (domain) =>
      credentialsFor(request.credentials, domain) ?? (await request.client?.credentials(domain)),
    warn: (text) => emit({ kind: "notice", level: "warning", text }),
    signal: request.signal,
    defer: (release) => workspace.defer(release),
  };
}

function networkOf(given: string | undefined): "default" | "none" | "host" {
  if (given === undefined || given === "" || given === "default" || given === "bridge") return "default";
  if (given === "none" || given === "host") return given;
  throw new TscomposeError("request/unsupported", `network mode ${given} is not supported by builds`, {
    hint: "use default, none or host",
  });
}

function scopeOf(
  parts: Parts,
  request: BuildRequest,
  build: {
    readonly running: Running;
    readonly plan: BuildPlan;
    readonly contexts: ReadonlyMap<string, ContextFiles>;
  },
): BuildScope {
  return {
    engine: parts.engine,
    roots: parts.roots,
    initLayer: parts.initLayer,
    workspace: build.running.workspace,
    cacheMounts: parts.cacheMounts,
    networks: parts.networks,
    contexts: build.contexts,
    secrets: request.secrets,
    ssh: request.ssh,
    knownHosts: build.running.tools.knownHosts,
    remotes: new RemoteOrigins(),
    limits: limitsOf(request),
    proxies: proxyEnvironment(request.buildArgs),
    epochSeconds: build.plan.epochSeconds,
    allow: { ...request.allow, networkHost: request.allow.networkHost || request.network === "host" },
    signal: request.signal,
  };
}
