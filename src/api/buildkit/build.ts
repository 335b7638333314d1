/** One build that a client asks for by `Control.Solve`: run at once, or when the client asks for it through the gateway (what buildx does),
 *  and given out when the client returns it. */
import { TscomposeError } from "../../errors.ts";
import type { CacheText, ResultFiles } from "../../engine/build/types.ts";
import type { Engine } from "../../engine/engine.ts";
import { buildRequestOf, cacheText, uploadOf } from "./build-request.ts";
import type { FrontendRequest } from "./build-request.ts";
import { BuildProgress } from "./build-progress.ts";
import { isEmpty } from "./definitions.ts";
import { exportFiles } from "./export-result.ts";
import { exportersOf, tagsOf } from "./exporters.ts";
import type { Exporter } from "./exporters.ts";
import { buildFailure } from "./failure.ts";
import { clientFolder } from "./file-sync.ts";
import type { FolderOptions } from "./file-sync.ts";
import type { GrpcError } from "./grpc/status.ts";
import type { Definition, SolveRequest } from "./messages.ts";
import { sessionServices } from "./session-services.ts";
import type { SessionServices } from "./session-services.ts";
import type { Session, Sessions } from "./sessions.ts";
import { answerOf, subrequestOf } from "./subrequests.ts";
import { StatusFeed } from "./status-feed.ts";

export interface FrontendSolve {
  readonly frontend: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly inputs: ReadonlyMap<string, Definition | undefined>;
  readonly definition: Definition | undefined;
}

/** What came of it; without an image: nothing was asked for, or nothing is kept. */
export interface BuildResult {
  readonly imageId: string;
  /** The answer to a question about the Dockerfile. */
  readonly metadata: ReadonlyMap<string, Buffer>;
}

/** Names by which clients know the front end that is built in. */
const dockerfileFrontend = /^(?:docker\.io\/)?docker\/dockerfile(?:-upstream)?(?:[:@]|$)/;

const nothing: AsyncIterable<Buffer> = {
  async *[Symbol.asyncIterator]() {
    // An empty archive.
  },
};

export class Build {
  readonly ref: string;
  readonly request: SolveRequest;
  readonly feed: StatusFeed;
  readonly progress: BuildProgress;
  readonly exporters: readonly Exporter[];
  readonly startedMs = Date.now();
  readonly #engine: Engine;
  readonly #sessions: Sessions;
  readonly #abort = new AbortController();
  readonly #services: SessionServices[] = [];
  /** Images that there were before. */
  #known: ReadonlySet<string> = new Set();
  #finish: (error: GrpcError | undefined) => void = () => undefined;
  /** Settles when the client has said what the result is. */
  readonly returned: Promise<GrpcError | undefined>;
  #work: Promise<BuildResult> | undefined;

  /** @throws request/unsupported for outputs that there are not */
  constructor(request: SolveRequest, at: { readonly engine: Engine; readonly sessions: Sessions }) {
    this.ref = request.ref;
    this.request = request;
    this.feed = new StatusFeed(request.ref);
    this.progress = new BuildProgress(this.feed);
    this.exporters = exportersOf(request);
    this.#engine = at.engine;
    this.#sessions = at.sessions;
    this.returned = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  cancel(): void {
    this.#abort.abort(new TscomposeError("aborted", "the build was cancelled"));
    this.#finish(buildFailure(this.#abort.signal.reason, undefined));
  }

  /** The client's word that it is done. */
  end(error: GrpcError | undefined): void {
    this.#finish(error);
  }

  /** What the build made so far. */
  get result(): Promise<BuildResult> | undefined {
    return this.#work;
  }

  session(): Promise<Session> {
    return this.#sessions.get(this.request.session, this.#abort.signal);
  }

  /** Builds the Dockerfile.
   *  @throws GrpcError as clients read it */
  async solve(given: FrontendSolve): Promise<BuildResult> {
    const work = this.#solve(given);
    this.#work = work;
    try {
      return await work;
    } catch (error) {
      const failure = buildFailure(error, this.progress.dockerfile);
      this.progress.fail(failure.message);
      throw failure;
    }
  }

  async #solve(given: FrontendSolve): Promise<BuildResult> {
    const isGateway = given.frontend === "gateway.v0";
    const isOurs = isGateway
      ? dockerfileFrontend.test(given.attributes.get("source") ?? "")
      : given.frontend === "dockerfile.v0";
    if (!isOurs || !isEmpty(given.definition)) throw refused(given);
    const builds = this.#engine.builds;
    if (builds === undefined) throw new TscomposeError("request/unsupported", "this engine does not build images");
    const session = await this.session();
    session.signal.addEventListener("abort", () => this.cancel(), { once: true });
    const services = sessionServices(session, this.signal);
    this.#services.push(services);
    const { signal, progress } = this;
    const frontend: FrontendRequest = {
      attributes: given.attributes,
      inputs: given.inputs,
      entitlements: this.request.entitlements,
      tags: tagsOf(this.exporters),
      keepImage: this.exporters.some(({ kind }) => kind !== "local" && kind !== "tar"),
      cacheFrom: cachesOf(this.request.cache?.imports),
      cacheTo: cachesOf(this.request.cache?.exports),
    };
    const request = buildRequestOf(frontend, {
      client: services,
      secrets: await gitSecrets(given.attributes, services),
      signal,
      folder: (name, kind) => {
        const begin: FolderOptions["begin"] = (what) => {
          const shown = folderTitle(name, { kind, what }, given.attributes);
          return progress.transfer(shown.key, shown.title, shown.what);
        };
        return clientFolder({ session, name, signal, begin });
      },
    });
    const upload = uploadOf(given.attributes);
    const archive = upload === undefined ? nothing : services.upload(upload);
    const asked = subrequestOf(given.attributes);
    if (asked !== undefined) progress.keepFindings();
    const only = { check: asked !== undefined, onlyTargets: asked === "targets" };
    if (this.#isPassing) this.#known = await imageIds(this.#engine);
    const isGivenOut = this.exporters.some(({ kind }) => kind !== "image");
    const takeFiles = (files: ResultFiles): Promise<void> => exportFiles(this, files);
    const wanted = { ...request, ...only, ...(isGivenOut ? { takeFiles } : {}) };
    const imageId = await builds.run(wanted, archive, (event) => progress.take(event));
    if (asked === undefined || progress.dockerfile === undefined) return { imageId, metadata: new Map() };
    return { imageId, metadata: answerOf(asked, progress.facts, progress.dockerfile) };
  }

  /** The client wants an archive of the image, and the engine is not to keep it. */
  get #isPassing(): boolean {
    const has = (...kinds: readonly Exporter["kind"][]): boolean =>
      this.exporters.some(({ kind }) => kinds.includes(kind));
    return has("docker", "oci") && !has("image");
  }

  /** Takes away the image that was only made to be given out, unless it was there before or somebody uses it. */
  async #dropImage(): Promise<void> {
    const result = await this.#work?.catch(() => undefined);
    if (!this.#isPassing || result === undefined || result.imageId === "" || this.#known.has(result.imageId)) return;
    const { RepoTags } = await this.#engine.images.inspect(result.imageId);
    if ((RepoTags ?? []).length > 0) return;
    await this.#engine.images.remove(result.imageId, { force: false, noPrune: false });
  }

  /** Lets go of what the build held. */
  async close(): Promise<void> {
    this.cancel();
    await this.#dropImage().catch(() => undefined); // in use, or gone already
    for (const services of this.#services) services.close();
    this.feed.end();
  }
}

function cachesOf(
  entries: readonly { readonly type?: string; readonly attributes?: ReadonlyMap<string, string> }[] | undefined,
): readonly CacheText[] {
  return (entries ?? []).map(({ type = "", attributes = new Map() }) => cacheText(type, attributes));
}

async function imageIds(engine: Engine): Promise<ReadonlySet<string>> {
  const images = await engine.images.list({ all: true, filters: new Map() });
  return new Set(images.map(({ Id }) => Id));
}

/** BuildKit's names of what it loads. */
function folderTitle(
  name: string,
  of: { readonly kind: "context" | "dockerfile" | "named"; readonly what: "names" | "folder" },
  attributes: ReadonlyMap<string, string>,
): { readonly key: string; readonly title: string; readonly what: string } {
  const isIgnoreFile = of.what === "names";
  switch (of.kind) {
    case "dockerfile": {
      const file = (attributes.get("filename") ?? "Dockerfile").split("/").at(-1) ?? "";
      return { key: "definition", title: `[internal] load build definition from ${file}`, what: "dockerfile" };
    }
    case "context":
      return isIgnoreFile
        ? { key: "ignore file", title: "[internal] load .dockerignore", what: "context" }
        : { key: "context", title: "[internal] load build context", what: "context" };
    case "named":
      return isIgnoreFile
        ? { key: `ignore file ${name}`, title: `[context ${name}] load .dockerignore`, what: name }
        : { key: `context ${name}`, title: `[context ${name}] load from client`, what: name };
  }
}

/** For a context that is a repository: its token is needed before anything is known. */
async function gitSecrets(
  attributes: ReadonlyMap<string, string>,
  services: SessionServices,
): Promise<ReadonlyMap<string, Buffer>> {
  const context = attributes.get("context") ?? "";
  if (!URL.canParse(context)) return new Map();
  const ids = ["GIT_AUTH_TOKEN", `GIT_AUTH_TOKEN.${new URL(context).host}`];
  const found = await Promise.all(ids.map(async (id) => [id, await services.secret(id)] as const));
  return new Map(found.flatMap(([id, value]) => (value === undefined ? [] : [[id, value] as const])));
}

function refused({ frontend, attributes }: FrontendSolve): TscomposeError {
  const what =
    frontend === ""
      ? "a graph of operations (LLB)"
      : `the front end ${frontend === "gateway.v0" ? (attributes.get("source") ?? "") : frontend}`;
  return new TscomposeError("request/unsupported", `this engine builds Dockerfiles: it does not run ${what}`, {
    hint: "leave the # syntax= line out, or use a builder of the docker-container driver",
  });
}
