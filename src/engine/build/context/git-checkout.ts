/** Fetches one commit of a git repository and writes its files. The server and the repository are hostile: no shell, no hooks, no
 *  configuration but ours, only network protocols, refs by their full names, and a folder that is resolved within the files.
 *  Source: git(1) GIT_ALLOW_PROTOCOL, git-config(1) protocol.*; security.md B-14, B-17. */
import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TscomposeError, errorMessage, isTscomposeError } from "../../../errors.ts";
import { runCommand } from "../../../host/command.ts";
import { clampTimes } from "../files/clamp-times.ts";
import { toBytes, Tree } from "../files/tree.ts";
import type { GitSource } from "./git-url.ts";

export interface GitOptions {
  /** A new, empty directory of the build: used for git's own files and for what is checked out. */
  readonly directory: string;
  /** Where host keys that were seen first are kept. */
  readonly knownHosts: string;
  /** Of the client's SSH agent. */
  readonly sshSocket: string | undefined;
  /** For https: a token, as a build secret gives it. */
  readonly token: string | undefined;
  readonly keepGitDir: boolean;
  readonly signal: AbortSignal;
}

export interface Checkout {
  readonly directory: string;
  /** Full. */
  readonly commit: string;
}

const timeoutMs = 10 * 60_000;
const fullSha = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** Holds in submodules too. */
const settings = `[core]
	hooksPath = /dev/null
	fsmonitor = false
	symlinks = true
	protectHFS = true
	protectNTFS = true
	autocrlf = false
[protocol]
	allow = never
[protocol "https"]
	allow = always
[protocol "http"]
	allow = always
[protocol "git"]
	allow = always
[protocol "ssh"]
	allow = always
[fetch]
	fsckObjects = true
[gc]
	auto = 0
[maintenance]
	auto = false
[credential]
	helper =
[advice]
	detachedHead = false
[http]
	followRedirects = initial
	lowSpeedLimit = 1
	lowSpeedTime = 60
`;

/** What nobody else may read goes by the environment: arguments are seen by all, and files would be kept. */
function secretsOf(source: GitSource, token: string | undefined): Readonly<Record<string, string>> {
  const pairs: (readonly [string, string])[] = [];
  if (token !== undefined && URL.canParse(source.url)) {
    const { origin } = new URL(source.url);
    const basic = Buffer.from(`x-access-token:${token}`).toString("base64");
    pairs.push([`http.${origin}/.extraheader`, `Authorization: basic ${basic}`]);
  }
  if (source.url !== source.shownUrl) pairs.push([`url.${baseOf(source.url)}.insteadOf`, baseOf(source.shownUrl)]);
  return Object.fromEntries([
    ["GIT_CONFIG_COUNT", String(pairs.length)],
    ...pairs.flatMap(([key, value], index) => [
      [`GIT_CONFIG_KEY_${index}`, key],
      [`GIT_CONFIG_VALUE_${index}`, value],
    ]),
  ]) as Readonly<Record<string, string>>;
}

/** Scheme, user and host with the slash. */
function baseOf(url: string): string {
  return /^[a-z+]+:\/\/[^/]+\//i.exec(url)?.[0] ?? url;
}

type Git = (args: readonly string[]) => Promise<string>;

function gitIn(source: GitSource, options: GitOptions): Git {
  const home = join(options.directory, "home");
  const ssh = [
    "ssh -F /dev/null -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o ForwardAgent=no -o PermitLocalCommand=no",
    `-o UserKnownHostsFile='${options.knownHosts}' -o ConnectTimeout=30`,
  ].join(" ");
  const env = {
    ...secretsOf(source, options.token),
    HOME: home,
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_CONFIG_GLOBAL: join(home, "config"),
    GIT_TEMPLATE_DIR: join(home, "template"),
    GIT_ATTR_NOSYSTEM: "1",
    GIT_TERMINAL_PROMPT: "0",
    GIT_ASKPASS: "/bin/false",
    SSH_ASKPASS: "/bin/false",
    GIT_LFS_SKIP_SMUDGE: "1",
    GIT_ALLOW_PROTOCOL: "https:http:git:ssh",
    GIT_PROTOCOL_FROM_USER: "0",
    GIT_SSH_COMMAND: ssh,
    ...(options.sshSocket === undefined ? {} : { SSH_AUTH_SOCK: options.sshSocket }),
  };
  const tree = join(options.directory, "files");
  return async (args) => {
    try {
      const argv = ["git", "-C", tree, ...args];
      const { stdout } = await runCommand(argv, { env, timeoutMs, signal: options.signal });
      return stdout.toString("utf8");
    } catch (error) {
      throw failure(source, error);
    }
  };
}

function failure(source: GitSource, error: unknown): unknown {
  if (!isTscomposeError(error) || error.code === "aborted") return error;
  const { stderr } = error.details;
  const missing = /ENOENT/.test(error.message) && typeof stderr === "string" && stderr === "";
  const said = typeof stderr === "string" && stderr !== "" ? stderr : errorMessage(error);
  const text = said.replaceAll(source.url, source.shownUrl).split("\n").slice(-6).join("\n");
  return new TscomposeError(
    "build/failed",
    `cannot fetch ${source.shownUrl}: ${missing ? "git is not installed" : text}`,
    {
      hint: missing
        ? "install the Debian package git"
        : "check the URL and the ref, and that this machine may read the repository",
    },
  );
}

/** What to ask the server for. @throws build/failed where it has no such ref */
async function wantedRef(git: Git, source: GitSource): Promise<string> {
  const { ref, refKind } = source;
  if (ref === undefined) return "HEAD";
  if (refKind === "any" && fullSha.test(ref)) return ref;
  const candidates =
    refKind === "branch"
      ? [`refs/heads/${ref}`]
      : refKind === "tag"
        ? [`refs/tags/${ref}`]
        : [`refs/heads/${ref}`, `refs/tags/${ref}`, ref.startsWith("refs/") ? ref : `refs/${ref}`];
  const listed = await git(["ls-remote", "--quiet", "--", "origin", ...candidates]);
  const names = new Set(listed.split("\n").map((line) => line.split("\t")[1] ?? ""));
  const found = candidates.find((name) => names.has(name));
  if (found !== undefined) return found;
  throw new TscomposeError("build/failed", `cannot fetch ${source.shownUrl}: it has no branch or tag ${ref}`, {
    hint: "write the whole commit id (40 digits) for a commit that no branch or tag names",
  });
}

function checkCommit(source: GitSource, commit: string, checksum: string | undefined): void {
  if (checksum === undefined || commit.startsWith(checksum)) return;
  throw new TscomposeError("build/failed", `${source.shownUrl}: expected checksum to match ${checksum}, got ${commit}`);
}

/** @throws build/failed, build/invalid for a folder that is not there, aborted */
export async function checkOut(source: GitSource, options: GitOptions): Promise<Checkout> {
  const tree = join(options.directory, "files");
  await mkdir(tree, { mode: 0o755 });
  await mkdir(join(options.directory, "home", "template"), { recursive: true, mode: 0o700 });
  await writeFile(join(options.directory, "home", "config"), settings, { mode: 0o600 });
  const git = gitIn(source, options);
  await git(["init", "--quiet", "--template=", "--initial-branch=main"]);
  await git(["remote", "add", "origin", source.shownUrl]);
  const wanted = await wantedRef(git, source);
  const commit = await fetchCommit(git, wanted);
  checkCommit(source, commit, source.checksum);
  const seconds = Number((await git(["show", "--no-patch", "--format=%ct", commit])).trim());
  await git(["checkout", "--quiet", "--force", "--detach", commit]);
  if (source.submodules) await git(["submodule", "--quiet", "update", "--init", "--recursive", "--depth=1", "--force"]);
  if (options.keepGitDir) await tidyGitDirectory(git, tree, { source, wanted });
  else await removeGitDirectories(tree);
  clampTimes(tree, seconds);
  return { directory: folderOf(source, tree), commit };
}

/** A commit that no ref names is not given by every server: then all that refs name is fetched. */
async function fetchCommit(git: Git, wanted: string): Promise<string> {
  const fetch = ["fetch", "--quiet", "--no-tags", "--force"];
  const verify = ["rev-parse", "--verify", "--end-of-options"];
  try {
    await git([...fetch, "--depth=1", "--", "origin", `+${wanted}:refs/tscompose/wanted`]);
    return (await git([...verify, "refs/tscompose/wanted^{commit}"])).trim();
  } catch (error) {
    if (!fullSha.test(wanted) || isTscomposeError(error, "aborted")) throw error;
    await git([...fetch, "--", "origin", "+refs/*:refs/tscompose/all/*"]);
    return (await git([...verify, `${wanted}^{commit}`])).trim();
  }
}

/** As a clone has it: no password, no ref of ours. */
async function tidyGitDirectory(
  git: Git,
  tree: string,
  { source, wanted }: { readonly source: GitSource; readonly wanted: string },
): Promise<void> {
  if (wanted.startsWith("refs/tags/")) await git(["update-ref", wanted, "refs/tscompose/wanted"]);
  for (const name of (await git(["for-each-ref", "--format=%(refname)", "refs/tscompose/"])).split("\n"))
    if (name !== "") await git(["update-ref", "-d", name]);
  await rm(join(tree, ".git", "FETCH_HEAD"), { force: true });
  await rm(join(tree, ".git", "index"), { force: true });
  await git(["read-tree", "HEAD"]);
  await writeFile(join(tree, ".git", "description"), `${source.shownUrl}\n`);
}

/** `.git` of the repository, and the files of that name in its submodules. */
async function removeGitDirectories(tree: string): Promise<void> {
  await rm(join(tree, ".git"), { recursive: true, force: true });
  const visit = async (directory: string): Promise<void> => {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      if (entry.name === ".git") await rm(join(directory, entry.name), { recursive: true, force: true });
      else if (entry.isDirectory()) await visit(join(directory, entry.name));
    }
  };
  await visit(tree);
}

function folderOf(source: GitSource, tree: string): string {
  if (source.folder === "") return tree;
  const files = new Tree(tree);
  try {
    const real = files.resolve(toBytes(source.folder));
    if (files.stat(real)?.isDirectory() === true) return join(tree, Buffer.from(real, "latin1").toString("utf8"));
    throw new TscomposeError("build/invalid", `${source.shownUrl} has no folder ${source.folder}`, {
      hint: "the part behind # is ref:folder",
    });
  } finally {
    files.close();
  }
}
