/** One build request to the engine: how its contexts get there, what they mean to it. */
import { Readable } from "node:stream";
import { TscomposeError, errorMessage, isTscomposeError } from "../errors.ts";
import type { ProgressMessage } from "../api/wire.ts";
import { cacheRegistries, cachesFor, classicCaches } from "./build-caches.ts";
import type { BuildRequest, ContextReference } from "./build-request.ts";
import type { ComposeContext, PackedContext, SshAgents } from "./context.ts";
import { registryOf } from "./pull-image.ts";

/** What the engine at the other end can do. */
export interface BuildPeer {
  /** It is of this program. */
  readonly own: boolean;
  /** It is on this machine: it reads folders and sockets itself. */
  readonly local: boolean;
  /** `linux/amd64`. */
  readonly platform: string;
}

export async function buildPeer({ docker }: ComposeContext): Promise<BuildPeer> {
  const version = await docker.version();
  const own = version.Platform?.Name === "tscompose";
  const platform = `${version.Os}/${version.Arch}`;
  return { own, local: own && docker.modem.address.kind === "unix", platform };
}

export interface SendOptions {
  readonly peer: BuildPeer;
  readonly check: boolean;
  readonly debug: boolean;
  /** What the build of another service gave. */
  readonly imageOf: (service: string) => Promise<string>;
}

/** @throws what the engine refuses; a failure of the build itself comes as a line */
export async function sendBuild(
  context: ComposeContext,
  service: string,
  { request, options }: { readonly request: BuildRequest; readonly options: SendOptions },
): Promise<AsyncIterable<ProgressMessage>> {
  checkPeer(service, request, options);
  const platform = choosePlatform(context, service, { request, options });
  const { peer } = options;
  const proxies = await context.proxyArguments();
  const [contexts, secrets, agents] = await Promise.all([
    namedContexts(context, service, { request, options }),
    context.readSecrets(request.secrets),
    context.sshAgents(request.ssh),
  ]);
  const caches = peer.own ? cachesFor(context, service, { request, local: peer.local }) : undefined;
  const classic = peer.own ? {} : classicCaches(context, service, request);
  const send = async (as: "archive" | "folder"): Promise<Readable> => {
    const packed = await pack(context, request, as);
    return await context.docker.buildImage(Readable.from(packed.archive), {
      ...request.query,
      buildargs: withProxies(proxies, request.query["buildargs"]),
      ...classic,
      ...(platform === undefined ? {} : { platform }),
      ...(request.context.kind === "remote" ? { remote: request.context.url } : { dockerfile: packed.dockerfile }),
      abortSignal: context.signal,
      registryconfig: await registryConfig(context, [...packed.bases, ...cacheRegistries(request)]),
      ...(peer.own
        ? { tscomposeBuild: { ...ownOptions(packed, { request, options, contexts, secrets, agents }), ...caches } }
        : {}),
    });
  };
  try {
    const stream = await sendOnce(send, peer);
    return withEnd(context.docker.modem.progress(stream, context.signal), agents);
  } catch (error) {
    agents.close();
    throw error;
  }
}

/** An argument of the file counts in both cases of letters. @param given JSON */
function withProxies(proxies: Readonly<Record<string, string>>, given: unknown): string {
  const own = typeof given === "string" ? (JSON.parse(given) as Readonly<Record<string, string>>) : {};
  const named = new Set(Object.keys(own).map((name) => name.toLowerCase()));
  const added = Object.entries(proxies).filter(([name]) => !named.has(name.toLowerCase()));
  return JSON.stringify({ ...Object.fromEntries(added), ...own });
}

/** Our engine builds several; Docker's classic builder one, so of several its own.
 *  @throws request/unsupported where its own is not among them */
function choosePlatform(
  context: ComposeContext,
  service: string,
  { request, options }: { readonly request: BuildRequest; readonly options: SendOptions },
): string | undefined {
  const { platforms } = request;
  const { platform, own: builds } = options.peer;
  if (platforms.length <= 1) return platforms[0];
  if (builds) return platforms.join(",");
  const own = platforms.find((given) => given === platform || given.startsWith(`${platform}/`));
  if (own === undefined)
    throw new TscomposeError(
      "request/unsupported",
      `service ${service}: build.platforms has several entries, and none is ${platform}, the engine's own`,
      { hint: "set platform on the service, and build one at a time" },
    );
  context.onWarning(
    `service ${service}: of build.platforms only ${own} is built: this engine's builder makes no images of several platforms`,
  );
  return own;
}

/** An engine behind a forwarded socket looks like one on this machine, until it is asked for a folder. */
async function sendOnce(send: (as: "archive" | "folder") => Promise<Readable>, peer: BuildPeer): Promise<Readable> {
  if (!peer.local) return await send("archive");
  try {
    return await send("folder");
  } catch (error) {
    if (!isTscomposeError(error) || !/the engine does not see the folder/.test(errorMessage(error))) throw error;
    return await send("archive");
  }
}

async function* withEnd(
  messages: AsyncIterable<ProgressMessage>,
  agents: SshAgents,
): AsyncGenerator<ProgressMessage, void, void> {
  try {
    yield* messages;
  } finally {
    agents.close();
  }
}

function ownOptions(
  packed: PackedContext,
  parts: {
    readonly request: BuildRequest;
    readonly options: SendOptions;
    readonly contexts: Readonly<Record<string, object>>;
    readonly secrets: Readonly<Record<string, string>>;
    readonly agents: SshAgents;
  },
): object {
  const { request, options, contexts, secrets, agents } = parts;
  return {
    rich: true,
    allow: request.entitlements,
    secrets,
    contexts,
    ssh: agents.sockets,
    noCacheFilter: request.noCacheFilter,
    check: options.check,
    debug: options.debug,
    folder: packed.folder,
    dockerfileText: packed.dockerfileText,
    ignoreText: packed.ignoreText,
  };
}

const nothing = Readable.from([]) as AsyncIterable<Buffer>;

async function pack(context: ComposeContext, request: BuildRequest, as: "archive" | "folder"): Promise<PackedContext> {
  const { dockerfile, dockerfileText } = request;
  if (request.context.kind === "folder") {
    return await context.packContext({ directory: request.context.directory, dockerfile, dockerfileText, as });
  }
  return { archive: nothing, folder: undefined, dockerfile, dockerfileText, ignoreText: undefined, bases: [] };
}

/** @throws request/unsupported for what Docker's engine has no request for */
function checkPeer(service: string, request: BuildRequest, { peer, check, debug }: SendOptions): void {
  if (peer.own) return;
  const wanted = Object.entries({
    additional_contexts: Object.keys(request.contexts).length > 0,
    secrets: request.secrets.length > 0,
    ssh: request.ssh.length > 0,
    entitlements: request.entitlements.length > 0,
    no_cache_filter: request.noCacheFilter.length > 0,
    "dockerfile_inline with a remote context":
      request.context.kind === "remote" && request.dockerfileText !== undefined,
    "--check": check,
    "--debug-shell": debug,
  }).flatMap(([name, given]) => (given ? [name] : []));
  if (wanted.length === 0) return;
  throw new TscomposeError(
    "request/unsupported",
    `service ${service}: this engine cannot build with ${wanted.join(", ")}`,
    {
      hint: "build on the engine of tscompose: leave -H and DOCKER_HOST out",
    },
  );
}

async function namedContexts(
  context: ComposeContext,
  service: string,
  { request, options }: { readonly request: BuildRequest; readonly options: SendOptions },
): Promise<Readonly<Record<string, object>>> {
  const found = Object.entries(request.contexts).map(
    async ([name, reference]) => [name, await namedContext(context, { service, name, reference, options })] as const,
  );
  return Object.fromEntries(await Promise.all(found));
}

async function namedContext(
  context: ComposeContext,
  at: {
    readonly service: string;
    readonly name: string;
    readonly reference: ContextReference;
    readonly options: SendOptions;
  },
): Promise<object> {
  const { reference, options } = at;
  switch (reference.kind) {
    case "image":
    case "remote":
      return reference;
    case "service":
      return { kind: "image", reference: await options.imageOf(reference.service) };
    case "layout":
      return { kind: "image", reference: await loadLayout(context, reference) };
    case "folder":
      if (options.peer.local) return { kind: "folder", folder: context.localFolder(reference.directory) };
      throw new TscomposeError(
        "request/unsupported",
        `service ${at.service}: the folder of build.additional_contexts.${at.name} cannot be sent to an engine on another machine`,
        { hint: "build here, or put the files into the build context" },
      );
  }
}

/** @returns the id of the image */
async function loadLayout(
  { docker, packLayout, signal }: ComposeContext,
  { directory, name }: Extract<ContextReference, { kind: "layout" }>,
): Promise<string> {
  const stream = await docker.loadImage(Readable.from(packLayout(directory, name)), { quiet: true });
  let id: string | undefined;
  for await (const message of docker.modem.progress(stream, signal)) {
    id = /^Loaded image ID: (sha256:[0-9a-f]{64})/.exec(message.stream ?? "")?.[1] ?? id;
  }
  if (id !== undefined) return id;
  throw new TscomposeError("build/invalid", `no image was found in the OCI layout ${directory}`);
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
