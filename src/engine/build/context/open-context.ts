/** What a build reads: the files that the client sends, a folder of this machine, a repository or an archive from elsewhere. */
import { closeSync, createReadStream, readFileSync, statSync } from "node:fs";
import { TscomposeError } from "../../../errors.ts";
import { emptyContext, receiveContext } from "../files/receive-context.ts";
import type { ContextFiles } from "../files/receive-context.ts";
import { dropIgnored } from "../files/receive-context.ts";
import { isArchive } from "../files/unpack-archive.ts";
import { Tree } from "../files/tree.ts";
import { dockerfileOf, ignorePatternsOf } from "../solve/dockerfile-of.ts";
import type { DockerfileSource, WantedDockerfile } from "../solve/dockerfile-of.ts";
import { download } from "../solve/fetch-url.ts";
import type { Workspace } from "../solve/workspace.ts";
import type { BuildRequest, ContextSource, NamedSource } from "../types.ts";
import { checkOut } from "./git-checkout.ts";
import { clientDockerfile, clientFiles, clientIgnorePatterns } from "./client-context.ts";
import { isGitContext, parseGitUrl } from "./git-url.ts";
import { openFolder } from "./folder-mirrors.ts";
import type { FolderMirrors } from "./folder-mirrors.ts";
import { join } from "node:path";

export interface ContextTools {
  readonly workspace: Workspace;
  readonly mirrors: FolderMirrors;
  /** Where host keys that were seen first are kept. */
  readonly knownHosts: string;
  readonly secrets: BuildRequest["secrets"];
  readonly ssh: BuildRequest["ssh"];
  readonly signal: AbortSignal;
  /** Called at the end of the build. */
  readonly defer: (release: () => void) => void;
}

/** What a build reads of a context: see `contextPaths`. */
export type NeededPaths = "all" | readonly string[] | undefined;

export interface OpenedContext {
  /** Called once it is known what is needed. */
  readonly files: (needed: NeededPaths) => Promise<ContextFiles>;
  readonly source: DockerfileSource;
}

const opened =
  (files: ContextFiles): OpenedContext["files"] =>
  () =>
    Promise.resolve(files);

/** @throws build/invalid, build/failed; request/conflict for a folder that is not on this machine */
export async function openContext(
  tools: ContextTools,
  given: { readonly source: ContextSource; readonly wanted: WantedDockerfile; readonly archive: AsyncIterable<Buffer> },
): Promise<OpenedContext> {
  const { source, wanted } = given;
  switch (source.kind) {
    case "tar":
      return prepared(await receiveContext(given.archive, tools.workspace.newDirectory("context")), wanted);
    case "folder": {
      // Read before the files are taken: what is ignored depends on it.
      closeSync(openFolder(source.folder));
      const dockerfile = dockerfileOf({ directory: source.folder.path, known: new Map() }, wanted);
      const leased = await tools.mirrors.lease(source.folder, dockerfile.ignorePatterns, () =>
        tools.workspace.newDirectory("context"),
      );
      tools.defer(() => leased.release());
      return { files: opened(leased.files), source: dockerfile };
    }
    case "client": {
      const dockerfile = await clientDockerfile(source.folder, wanted);
      return {
        files: (needed) => clientFiles(tools, source.folder, dockerfile.ignorePatterns, needed),
        source: dockerfile,
      };
    }
    case "remote": {
      const remote = await fetchRemote(tools, source.url);
      if (remote.kind === "files") return prepared(remote.files, wanted);
      const text = wanted.text ?? remote.text;
      return prepared(emptyContext(tools.workspace.newDirectory("context")), { ...wanted, text });
    }
  }
}

function prepared(files: ContextFiles, wanted: WantedDockerfile): OpenedContext {
  const source = dockerfileOf(files, wanted);
  dropIgnored(files, source.ignorePatterns);
  return { files: opened(files), source };
}

/** A context by another name, as files. Its own .dockerignore counts. */
export async function openNamed(
  tools: ContextTools,
  name: string,
  source: Exclude<NamedSource, { readonly kind: "image" }>,
): Promise<OpenedContext["files"]> {
  if (source.kind === "client") {
    const patterns = await clientIgnorePatterns(source.folder);
    return (needed) => clientFiles(tools, source.folder, patterns, needed);
  }
  return opened(await openNamedFiles(tools, name, source));
}

async function openNamedFiles(
  tools: ContextTools,
  name: string,
  source: Exclude<NamedSource, { readonly kind: "image" | "client" }>,
): Promise<ContextFiles> {
  if (source.kind === "folder") {
    closeSync(openFolder(source.folder));
    const patterns = ignorePatternsOf(source.folder.path);
    const leased = await tools.mirrors.lease(source.folder, patterns, () => tools.workspace.newDirectory("context"));
    tools.defer(() => leased.release());
    return leased.files;
  }
  const remote = await fetchRemote(tools, source.url);
  if (remote.kind === "files") return remote.files;
  throw new TscomposeError(
    "build/invalid",
    `the context ${name} is neither a git repository nor an archive: ${source.url}`,
    {
      hint: "give the URL of a repository (ending in .git) or of a tar archive",
    },
  );
}

type Remote =
  | { readonly kind: "files"; readonly files: ContextFiles }
  /** A Dockerfile. */
  | { readonly kind: "text"; readonly text: string };

const maxDockerfile = 16 * 1024 * 1024;

async function fetchRemote(tools: ContextTools, url: string): Promise<Remote> {
  if (isGitContext(url)) {
    const source = parseGitUrl(url);
    const { directory } = await checkOut(source, {
      directory: tools.workspace.newDirectory("git"),
      ...gitAccess(tools, url),
      keepGitDir: source.keepGitDir ?? false,
    });
    return { kind: "files", files: { directory, known: new Map() } };
  }
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new TscomposeError("build/invalid", `${url} cannot be a build context`, {
      hint: "give the URL of a git repository (ending in .git), of a tar archive or of a Dockerfile",
    });
  const directory = tools.workspace.newDirectory("url");
  const path = join(directory, "download");
  await download(url, path, { signal: tools.signal });
  const tree = new Tree(directory);
  try {
    if (await isArchive(tree.path("download"))) {
      const archive = createReadStream(path) as AsyncIterable<Buffer>;
      return { kind: "files", files: await receiveContext(archive, tools.workspace.newDirectory("context")) };
    }
  } finally {
    tree.close();
  }
  const text = dockerfileText(path, url);
  return { kind: "text", text };
}

function dockerfileText(path: string, url: string): string {
  if (statSync(path).size > maxDockerfile)
    throw new TscomposeError("build/invalid", `${url} is neither an archive nor a Dockerfile`);
  return readFileSync(path, "utf8");
}

/** How git may authenticate: BuildKit's secret GIT_AUTH_TOKEN (also with `.host` behind it), and the default SSH agent. */
export function gitAccess(
  tools: Pick<ContextTools, "knownHosts" | "secrets" | "ssh" | "signal">,
  url: string,
): {
  readonly knownHosts: string;
  readonly token: string | undefined;
  readonly sshSocket: string | undefined;
  readonly signal: AbortSignal;
} {
  const host = URL.canParse(url) ? new URL(url).host : "";
  const token = tools.secrets.get(`GIT_AUTH_TOKEN.${host}`) ?? tools.secrets.get("GIT_AUTH_TOKEN");
  return {
    knownHosts: tools.knownHosts,
    token: token?.toString("utf8").trim(),
    sshSocket: tools.ssh.get("default"),
    signal: tools.signal,
  };
}
