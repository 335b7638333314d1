/** What ADD fetches: each once in a build, before its step is looked for in the cache, since what is there decides. */
import { checkOut } from "../context/git-checkout.ts";
import { parseGitUrl } from "../context/git-url.ts";
import { gitAccess } from "../context/open-context.ts";
import type { CopyOrigin } from "../plan/steps.ts";
import type { BuildScope } from "./build-context.ts";
import { fetchUrl } from "./fetch-url.ts";

export type RemoteOrigin = Extract<CopyOrigin, { readonly kind: "url" | "git" }>;

export interface Fetched {
  readonly directory: string;
  /** Stands for the content. */
  readonly digest: string;
}

export class RemoteOrigins {
  readonly #fetched = new Map<string, Promise<Fetched>>();

  /** @throws build/failed, build/invalid */
  get(scope: BuildScope, origin: RemoteOrigin): Promise<Fetched> {
    const key = JSON.stringify(origin);
    const known = this.#fetched.get(key);
    if (known !== undefined) return known;
    const work = origin.kind === "url" ? fetchUrl(scope, origin) : fetchGit(scope, origin);
    work.catch(() => undefined); // whoever asked hears of it
    this.#fetched.set(key, work);
    return work;
  }

  /** What its content is known by without fetching it: a checksum of a URL. */
  digest(scope: BuildScope, origin: RemoteOrigin): Promise<string> {
    if (origin.kind === "url" && origin.checksum !== "") return Promise.resolve(origin.checksum);
    return this.get(scope, origin).then(({ digest }) => digest);
  }
}

async function fetchGit(scope: BuildScope, origin: Extract<RemoteOrigin, { kind: "git" }>): Promise<Fetched> {
  const parsed = parseGitUrl(origin.url);
  const source = origin.checksum === "" ? parsed : { ...parsed, checksum: origin.checksum };
  const directory = scope.workspace.newDirectory("git");
  const { directory: files, commit } = await checkOut(source, {
    directory,
    ...gitAccess(scope, origin.url),
    keepGitDir: origin.keepGitDir || source.keepGitDir === true,
  });
  return { directory: files, digest: `${commit}:${source.folder}` };
}
