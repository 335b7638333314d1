/** The attributes of BuildKit's Dockerfile front end to a request for our builder. Pure but for the folders and services that it is given.
 *  Source: BuildKit frontend/dockerui/{config,context}.go, frontend/dockerfile/docs. */
import { TscomposeError } from "../../errors.ts";
import type { BuildRequest, CacheText, ClientFolder, ContextSource, NamedSource } from "../../engine/build/types.ts";
import type { Ulimit } from "../wire.ts";
import { imageOf } from "./definitions.ts";
import type { Definition } from "./messages.ts";

export interface FrontendRequest {
  readonly attributes: ReadonlyMap<string, string>;
  /** Results of other builds by the name of the context. */
  readonly inputs: ReadonlyMap<string, Definition | undefined>;
  readonly entitlements: readonly string[];
  readonly tags: readonly string[];
  readonly keepImage: boolean;
  readonly cacheFrom: readonly CacheText[];
  readonly cacheTo: readonly CacheText[];
}

export interface RequestTools {
  /** A folder that the client calls so; `kind` says what for. */
  readonly folder: (name: string, kind: "context" | "dockerfile" | "named") => ClientFolder;
  readonly client: BuildRequest["client"];
  readonly secrets: BuildRequest["secrets"];
  readonly signal: AbortSignal;
}

function refuse(what: string, hint: string): TscomposeError {
  return new TscomposeError("request/unsupported", `${what} is not supported by this engine`, { hint });
}

/** As on a command line: `type=registry,ref=app:cache`. */
export function cacheText(type: string, attributes: Iterable<readonly [string, string]>): CacheText {
  const fields = [["type", type] as const, ...attributes].map(([key, value]) => `${key}=${value}`);
  const quoted = fields.map((field) => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field));
  return { text: quoted.join(","), folder: undefined };
}

/** `cache-imports`: JSON of the types and attributes of caches. @throws request/invalid */
function cacheImports(attributes: ReadonlyMap<string, string>): readonly CacheText[] {
  const given = attributes.get("cache-imports");
  if (given === undefined || given === "") return [];
  try {
    const entries = JSON.parse(given) as readonly { readonly Type: string; readonly Attrs?: Record<string, string> }[];
    return entries.map(({ Type, Attrs }) => cacheText(String(Type), Object.entries(Attrs ?? {})));
  } catch {
    throw new TscomposeError("request/invalid", "the caches to import are not the JSON that is expected");
  }
}

function withPrefix(attributes: ReadonlyMap<string, string>, prefix: string): ReadonlyMap<string, string> {
  return new Map(
    [...attributes].flatMap(([key, value]) => (key.startsWith(prefix) ? [[key.slice(prefix.length), value]] : [])),
  );
}

function list(value: string | undefined): readonly string[] {
  return (value ?? "").split(",").filter((item) => item !== "");
}

function count(value: string | undefined, what: string): number | undefined {
  if (value === undefined || value === "" || value === "0") return undefined;
  if (!/^[0-9]{1,15}$/.test(value)) throw new TscomposeError("request/invalid", `invalid ${what}: ${value}`);
  return Number(value);
}

/** `nofile=1024:2048,nproc=5`. */
function ulimits(value: string | undefined): readonly Ulimit[] | undefined {
  const items = list(value);
  if (items.length === 0) return undefined;
  return items.map((item) => {
    const [, Name, soft, hard = soft] = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(item) ?? [];
    if (Name === undefined) throw new TscomposeError("request/invalid", `invalid ulimit: ${item}`);
    return { Name, Soft: Number(soft), Hard: Number(hard) };
  });
}

function limitsOf(attributes: ReadonlyMap<string, string>): BuildRequest["limits"] {
  const values = {
    shmSize: count(attributes.get("shm-size"), "shm-size"),
    ulimits: ulimits(attributes.get("ulimit")),
    cgroupParent: attributes.get("cgroup-parent"),
  };
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined && value !== ""));
}

/** `docker-image://`, `local:`, `input:`, a repository or an archive. */
function namedSource(
  value: string,
  { name, request, tools }: { readonly name: string; readonly request: FrontendRequest; readonly tools: RequestTools },
): NamedSource {
  if (value.startsWith("docker-image://")) return { kind: "image", reference: value.slice("docker-image://".length) };
  if (value.startsWith("local:"))
    return { kind: "client", folder: tools.folder(value.slice("local:".length), "named") };
  if (value.startsWith("input:")) {
    const reference = imageOf(request.inputs.get(value.slice("input:".length)));
    if (reference !== undefined) return { kind: "image", reference };
    throw refuse(
      `the context ${name}, which is a graph of operations (LLB),`,
      "give a folder, an image or another target",
    );
  }
  if (/^[a-z-]+:\/\//.test(value) && !/^(?:https?|git|ssh):\/\//.test(value))
    throw refuse(`the context ${name}=${value}`, "use a folder, a URL or docker-image://");
  return { kind: "remote", url: value };
}

function mainContext(attributes: ReadonlyMap<string, string>, tools: RequestTools): ContextSource {
  const given = attributes.get("context");
  if (given !== undefined && given !== "" && !given.startsWith("local:")) {
    const isUpload = given.startsWith("http://buildkit-session/");
    return isUpload ? { kind: "tar" } : { kind: "remote", url: given };
  }
  const name = given?.slice("local:".length) ?? attributes.get("contextkey") ?? "context";
  return { kind: "client", folder: tools.folder(name, "context") };
}

/** The URL of an archive that the client holds ready; undefined where the context is something else. */
export function uploadOf(attributes: ReadonlyMap<string, string>): URL | undefined {
  const given = attributes.get("context") ?? "";
  return given.startsWith("http://buildkit-session/") && URL.canParse(given) ? new URL(given) : undefined;
}

function dockerfileFolder(
  attributes: ReadonlyMap<string, string>,
  context: ContextSource,
  tools: RequestTools,
): ClientFolder | undefined {
  const key = attributes.get("dockerfilekey");
  if (context.kind !== "client" && key === undefined) return undefined;
  return tools.folder(key ?? "dockerfile", "dockerfile");
}

/** @throws request/unsupported, request/invalid */
export function buildRequestOf(request: FrontendRequest, tools: RequestTools): BuildRequest {
  const { attributes, entitlements } = request;
  if (withPrefix(attributes, "attest:").has("sbom")) throw refuse("an SBOM attestation", "leave --sbom out");
  const context = mainContext(attributes, tools);
  const named = [...withPrefix(attributes, "context:")].map(([key, value]) => {
    const name = key.replace(/::.*$/, "");
    return [name, namedSource(value, { name, request, tools })] as const;
  });
  const noCache = attributes.get("no-cache");
  const extraHosts = list(attributes.get("add-hosts")).map((entry) => entry.replace("=", ":"));
  const folder = dockerfileFolder(attributes, context, tools);
  return {
    context,
    namedContexts: Object.fromEntries(named),
    ...(folder === undefined ? {} : { dockerfileFolder: folder }),
    dockerfile: attributes.get("filename"),
    dockerfileText: undefined,
    ignoreText: undefined,
    tags: request.tags,
    target: attributes.get("target"),
    buildArgs: Object.fromEntries(withPrefix(attributes, "build-arg:")),
    labels: Object.fromEntries(withPrefix(attributes, "label:")),
    platform: list(attributes.get("platform")).join(",") || undefined,
    noCache: noCache === undefined ? "none" : list(noCache).length === 0 ? "all" : list(noCache),
    cacheFrom: [...request.cacheFrom, ...cacheImports(attributes)],
    cacheTo: request.cacheTo,
    pull: attributes.get("image-resolve-mode") === "pull",
    quiet: false,
    progress: "steps",
    network: attributes.get("force-network-mode"),
    extraHosts,
    limits: limitsOf(attributes),
    secrets: tools.secrets,
    ssh: new Map(),
    check: false,
    debug: false,
    credentials: {},
    ...(tools.client === undefined ? {} : { client: tools.client }),
    keepImage: request.keepImage,
    allow: {
      networkHost: entitlements.includes("network.host"),
      insecure: entitlements.includes("security.insecure"),
    },
    signal: tools.signal,
  };
}
