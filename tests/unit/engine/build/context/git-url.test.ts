import { describe, expect, test } from "vitest";
import { isGitContext, isGitUrl, parseGitUrl, redacted } from "../../../../../src/engine/build/context/git-url.ts";

describe("a git URL", () => {
  test.each([
    ["https://host/repo.git", true],
    ["https://host/repo.git#main:folder", true],
    ["https://host/repo.git?branch=main", true],
    ["git@host:path/repo", true],
    ["ssh://git@host/repo", true],
    ["git://host/repo", true],
    ["https://host/archive.tar.gz", false],
    ["./repo.git", false],
    ["github.com/a/b", false],
  ])("%s is one: %s", (url, expected) => expect(isGitUrl(url)).toBe(expected));

  test("github.com/... is one as a context only", () => expect(isGitContext("github.com/a/b")).toBe(true));

  test.each([
    ["https://h/r.git", undefined, ""],
    ["https://h/r.git#v1", "v1", ""],
    ["https://h/r.git#v1:a/b", "v1", "a/b"],
    ["https://h/r.git#:a/./b/", undefined, "a/b"],
    ["https://h/r.git?ref=main&subdir=x", "main", "x"],
    ["git@h:p/r.git#refs/pull/1/head", "refs/pull/1/head", ""],
  ])("%s names a ref and a folder", (url, ref, folder) => expect(parseGitUrl(url)).toMatchObject({ ref, folder }));

  test.each([
    "https://h/r.git#--upload-pack=touch /x",
    "https://h/r.git#-x",
    "https://h/r.git#a..b",
    "https://h/r.git#a b",
    "https://h/r.git#main:../../etc",
    "https://h/r.git#main:a/../../b",
    "https://h/r.git#main:.git/hooks",
    "https://h/r.git?ref=$(id)",
    "https://h/r.git?unknown=1",
    "https://h/r.git?ref=a#b",
    "https://h/r.git?checksum=xyz",
    "ext::sh -c id",
    "file:///etc",
    "git@-oProxyCommand=id:x",
    "ssh://-oProxyCommand=id/x",
    "ssh://-oProxyCommand=id@host/x",
    "https://h/r\n.git",
  ])("%j is refused", (url) => expect(() => parseGitUrl(url)).toThrow(/git context/));

  test("a password is shown nowhere", () => {
    expect(redacted("https://me:secret@h/r.git")).toBe("https://h/r.git");
    expect(parseGitUrl("https://me:secret@h/r.git").shownUrl).toBe("https://h/r.git");
    expect(() => parseGitUrl("https://me:secret@h/r.git#a..b")).toThrow(/^git context https:\/\/h\/r\.git/);
  });
});
