/** URLs of git repositories as build contexts: `https://host/repo.git#ref:folder`, or with a query (`?branch=`, `?tag=`, `?ref=`,
 *  `?subdir=`, `?checksum=`, `?keep-git-dir=`, `?submodules=`). Pure. What comes out can neither be an option of git nor leave the
 *  repository. Source: Docker documentation, build context, git repositories; security.md B-14. */
import { TscomposeError } from "../../../errors.ts";

export interface GitSource {
  /** For git; may hold a user and a password. */
  readonly url: string;
  /** For people and for what is kept: without a password. */
  readonly shownUrl: string;
  /** Branch, tag, full ref or commit; undefined: what the server calls HEAD. */
  readonly ref: string | undefined;
  /** Kind of `ref` where the URL says it. */
  readonly refKind: "any" | "branch" | "tag";
  /** Folder in the repository; empty for all. */
  readonly folder: string;
  /** The commit that it has to be, or how that begins. */
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean | undefined;
  readonly submodules: boolean;
}

const scpLike = /^(?:[\w.-]+@)([\w.-]+):(?!\/\/)(.+)$/;

export function isGitUrl(source: string): boolean {
  return /^(?:git:\/\/|ssh:\/\/|git@)/.test(source) || /^https?:\/\/[^#?]*\.git(?:[#?].*)?$/.test(source);
}

/** As a build context `github.com/...` is one too; in ADD it is a path. */
export function isGitContext(source: string): boolean {
  return isGitUrl(source) || source.startsWith("github.com/");
}

function invalid(source: string, reason: string, hint: string): TscomposeError {
  return new TscomposeError("build/invalid", `git context ${redacted(source)}: ${reason}`, { hint });
}

/** Without user and password. */
export function redacted(url: string): string {
  return url.replace(/^([a-z+]+:\/\/)[^/@]*@/i, "$1");
}

function checkRef(source: string, ref: string): string {
  const bad = ref.startsWith("-") || ref.includes("..") || ref.includes("@{") || ref.includes("//") || ref.length > 256;
  if (!bad && /^[\w][\w./+@-]*$/.test(ref) && !ref.endsWith("/") && !ref.endsWith(".lock")) return ref;
  throw invalid(source, `${JSON.stringify(ref)} is no branch, tag or commit`, "write it as in `git fetch origin NAME`");
}

function checkFolder(source: string, folder: string): string {
  const parts = folder.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..") || parts.includes(".git") || folder.includes("\0"))
    throw invalid(
      source,
      `the folder ${JSON.stringify(folder)} is not in the repository`,
      "name a folder below its root",
    );
  return parts.join("/");
}

interface Parts {
  readonly ref: string | undefined;
  readonly refKind: GitSource["refKind"];
  readonly folder: string;
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean | undefined;
  readonly submodules: boolean;
}

function fragmentParts(fragment: string): Pick<Parts, "ref" | "folder"> {
  const at = fragment.indexOf(":");
  const [ref, folder] = at < 0 ? [fragment, ""] : [fragment.slice(0, at), fragment.slice(at + 1)];
  return { ref: ref === "" ? undefined : ref, folder };
}

function flag(source: string, key: string, value: string): boolean {
  if (/^(?:|1|t|true)$/i.test(value)) return true;
  if (/^(?:0|f|false)$/i.test(value)) return false;
  throw invalid(source, `${key}=${value} is neither true nor false`, "write 1 or 0");
}

function queryParts(source: string, query: string): Parts {
  let parts: Parts = {
    ref: undefined,
    refKind: "any",
    folder: "",
    checksum: undefined,
    keepGitDir: undefined,
    submodules: true,
  };
  for (const [key, value] of new URLSearchParams(query)) {
    if (key === "ref") parts = { ...parts, ref: value, refKind: "any" };
    else if (key === "branch" || key === "tag") parts = { ...parts, ref: value, refKind: key };
    else if (key === "subdir") parts = { ...parts, folder: value };
    else if (key === "checksum" || key === "commit") parts = { ...parts, checksum: value };
    else if (key === "keep-git-dir") parts = { ...parts, keepGitDir: flag(source, key, value) };
    else if (key === "submodules") parts = { ...parts, submodules: flag(source, key, value) };
    else
      throw invalid(
        source,
        `the query has the unknown key ${key}`,
        "use ref, branch, tag, subdir, checksum, keep-git-dir or submodules",
      );
  }
  return parts;
}

/** @throws build/invalid */
export function parseGitUrl(source: string): GitSource {
  const full = source.startsWith("github.com/") ? `https://${source}` : source;
  const hash = full.indexOf("#");
  const [beforeFragment, fragment] = hash < 0 ? [full, ""] : [full.slice(0, hash), full.slice(hash + 1)];
  const mark = beforeFragment.indexOf("?");
  const [url, query] =
    mark < 0 ? [beforeFragment, ""] : [beforeFragment.slice(0, mark), beforeFragment.slice(mark + 1)];
  checkUrl(source, url);
  const fromQuery = queryParts(source, query);
  const fromFragment = fragmentParts(fragment);
  if (fromQuery.ref !== undefined && fromFragment.ref !== undefined && fromQuery.ref !== fromFragment.ref)
    throw invalid(source, "the ref is given twice", "give it behind # or in the query");
  const ref = fromFragment.ref ?? fromQuery.ref;
  const { checksum } = fromQuery;
  if (checksum !== undefined && !/^[0-9a-f]{7,64}$/.test(checksum))
    throw invalid(source, `${JSON.stringify(checksum)} is no commit`, "write 7 to 64 hexadecimal digits");
  return {
    ...fromQuery,
    url,
    shownUrl: redacted(url),
    ref: ref === undefined || ref === "" ? undefined : checkRef(source, ref),
    folder: checkFolder(source, fromFragment.folder === "" ? fromQuery.folder : fromFragment.folder),
  };
}

function checkUrl(source: string, url: string): void {
  if (/[\s\p{Cc}]/u.test(url))
    throw invalid(source, "it has a blank or control character", "write the URL as git takes it");
  const scp = scpLike.exec(url);
  if (scp !== null && !url.includes("://")) {
    if (scp[2]?.startsWith("-") === true || scp[1]?.startsWith("-") === true)
      throw invalid(source, "a part of it looks like an option", "write git@host:path");
    return;
  }
  if (!URL.canParse(url)) throw invalid(source, "it is no URL", "write https://host/repository.git");
  const { protocol, hostname, username } = new URL(url);
  if (!["https:", "http:", "git:", "ssh:"].includes(protocol))
    throw invalid(source, `${protocol}// is not allowed`, "use https, http, ssh or git");
  if (hostname === "" || hostname.startsWith("-") || username.startsWith("-"))
    throw invalid(source, "it has no usable host", "write https://host/repository.git");
}
