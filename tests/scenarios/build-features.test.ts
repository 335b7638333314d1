/** What a `build:` section can ask for, through the built CLI: contexts of all kinds, secrets, SSH agents, checks, the shell. */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Docker } from "../../src/client/docker.ts";
import { eventually, freePort, Workspace } from "../support/workspace.ts";

let workspace: Workspace;

beforeAll(async () => {
  workspace = await Workspace.create();
  await workspace.loadBusybox();
});
afterAll(async () => {
  expect(await workspace.leaks()).toEqual([]);
  await workspace.dispose();
});

/** A project folder of its own. */
function project(name: string, files: Readonly<Record<string, string>>): { readonly cwd: string } {
  workspace.write(Object.fromEntries(Object.entries(files).map(([path, text]) => [`${name}/${path}`, text])));
  return { cwd: join(workspace.project, name) };
}

const runImage = async (image: string, ...command: readonly string[]): Promise<string> => {
  const at = project("look", {
    "compose.yaml": `services: {look: {image: "${image}", network_mode: none, entrypoint: [], command: ${JSON.stringify(command)}}}`,
  });
  return await workspace.ok(["run", "--rm", "-T", "--quiet", "look"], at);
};

async function saved(image: string): Promise<Buffer> {
  const docker = new Docker({ socketPath: workspace.socket });
  try {
    return await docker.modem.collect(await docker.getImage(image).get());
  } finally {
    docker.close();
  }
}

test("build.platforms: one name, an image for each platform; a step says for which it is", async () => {
  const at = project("platforms", {
    "compose.yaml": `services: {web: {image: "several:1", build: {context: ., platforms: [linux/amd64, linux/s390x]}}}`,
    Dockerfile: "FROM scratch\nARG TARGETARCH\nCOPY for-$TARGETARCH /which\n",
    "for-amd64": "amd64",
    "for-s390x": "s390x",
  });
  const { stdout, stderr } = await workspace.run(["--progress", "plain", "build"], at);
  expect(stdout + stderr).toMatch(/linux\/s390x 1\/1\] COPY for-\S+ \/which/);
  const docker = new Docker({ socketPath: workspace.socket });
  const images = await docker.listImages({ manifests: true });
  docker.close();
  const [image] = images.filter(({ RepoTags }) => RepoTags?.includes("several:1") === true);
  const platforms = image?.Manifests?.map(({ ImageData }) => ImageData.Platform.architecture) ?? [];
  expect(platforms.toSorted()).toEqual(["amd64", "s390x"]);
});

describe("build caches", () => {
  test("a file names where a build's results go and come from, a flag too; what is not there is a warning", async () => {
    const build = "context: ., cache_to: ['type=local,dest=kept,mode=max'], cache_from: ['type=local,src=gone']";
    const at = project("caches", {
      "compose.yaml": `services: {web: {image: "caches:1", build: {${build}}}}`,
      Dockerfile: "FROM busybox\nRUN cat /proc/sys/kernel/random/uuid > /id\n",
    });
    const first = await workspace.run(["--progress", "plain", "build"], at);
    expect(first.stderr + first.stdout).toMatch(/web: the build cache gone is not used: .* is not a directory/);
    const id = await runImage("caches:1", "cat", "/id");
    expect(readdirSync(join(at.cwd, "kept")).toSorted()).toEqual(["blobs", "index.json", "oci-layout"]);
    const docker = new Docker({ socketPath: workspace.socket });
    await docker.pruneBuilder({ all: true });
    docker.close();
    await workspace.ok(["build", "--cache-from", "type=local,src=kept"], at);
    expect(await runImage("caches:1", "cat", "/id")).toBe(id);
  });

  test("a type of cache that is not there is refused by name", async () => {
    const at = project("caches-gha", {
      "compose.yaml": "services: {web: {build: {context: ., cache_from: ['type=gha']}}}",
      Dockerfile: "FROM busybox\n",
    });
    const { exitCode, stderr } = await workspace.run(["build"], at);
    expect(exitCode).toBe(1);
    expect(stderr).toContain("cache_from: cache type gha is not supported by this engine");
    expect(stderr).toContain("use type=registry, type=local or type=inline");
  });
});

describe("contexts", () => {
  test("named folders, images and other services can be copied from; what a build stands on is built first", async () => {
    const at = project("named", {
      "compose.yaml": `
name: named
services:
  web:
    build:
      context: web
      additional_contexts:
        files: ./files
        tools: docker-image://busybox:latest
        base: service:base
  base:
    build:
      context: web
      dockerfile_inline: |
        FROM busybox
        RUN echo from-base > /base
`,
      "web/Dockerfile": `FROM base
COPY --from=files a sub/ /copied/
COPY --from=tools /bin/busybox /tool
RUN cat /base /copied/a > /all && ls /copied >> /all`,
      "files/a": "from-files\n",
      "files/left-out": "no\n",
      "files/sub/b": "b\n",
      "files/.dockerignore": "left-out\n",
    });
    await workspace.ok(["build", "web"], at);
    expect(await runImage("named-web", "cat", "/all")).toBe("from-base\nfrom-files\na\nb\n");
  });

  test("only what has changed is copied again; a file that changed is never taken from the cache", async () => {
    const at = project("delta", {
      "compose.yaml": "services: {web: {build: .}}",
      Dockerfile: "FROM busybox\nCOPY . /src\nRUN cat /src/a /src/d/b > /all",
      ".dockerignore": "ignored\ncompose.yaml\n",
      a: "a1\n",
      "d/b": "b1\n",
      ignored: "x\n",
    });
    await workspace.ok(["build"], at);
    expect(await runImage("delta-web", "cat", "/all")).toBe("a1\nb1\n");
    writeFileSync(join(at.cwd, "a"), "a2\n");
    rmSync(join(at.cwd, "d/b"));
    mkdirSync(join(at.cwd, "d/b"), { recursive: true });
    rmSync(join(at.cwd, "d"), { recursive: true });
    mkdirSync(join(at.cwd, "d"));
    writeFileSync(join(at.cwd, "d/b"), "b2\n");
    await workspace.ok(["build"], at);
    expect(await runImage("delta-web", "cat", "/all")).toBe("a2\nb2\n");
    // The same size and the same times as before: the change time tells.
    const past = new Date(1_600_000_000_000);
    utimesSync(join(at.cwd, "a"), past, past);
    await workspace.ok(["build"], at);
    writeFileSync(join(at.cwd, "a"), "a3\n");
    utimesSync(join(at.cwd, "a"), past, past);
    await workspace.ok(["build"], at);
    expect(await runImage("delta-web", "cat", "/all")).toBe("a3\nb2\n");
    expect(await runImage("delta-web", "ls", "/src")).toBe("Dockerfile\na\nd\n");
    const again = await workspace.run(["build"], at);
    expect(again.stderr).toMatch(/RUN cat.*\n#\d+ CACHED/);
  });

  test("an OCI layout is a context", async () => {
    const at = project("layout", {
      "compose.yaml": `
services:
  web:
    build:
      additional_contexts: { base: "oci-layout://./oci:latest" }
      dockerfile_inline: |
        FROM base
        RUN echo yes > /yes
`,
    });
    const archive = join(workspace.root, "busybox.tar");
    writeFileSync(archive, await saved("busybox:latest"));
    mkdirSync(join(at.cwd, "oci"));
    execFileSync("tar", ["-C", join(at.cwd, "oci"), "-xf", archive]);
    const outcome = await workspace.run(["build"], at);
    expect(outcome.stderr).toContain("DONE");
    expect(await runImage("layout-web", "cat", "/yes")).toBe("yes\n");
  });

  test("a URL gives an archive or a Dockerfile", async () => {
    const archive = join(workspace.root, "context.tar.gz");
    const at = project("url", { "files/Dockerfile": "FROM busybox\nCOPY a /a", "files/a": "by-url\n" });
    execFileSync("tar", ["-C", join(at.cwd, "files"), "-czf", archive, "."]);
    const server = await serve((path) =>
      path === "/context.tar.gz" ? readFileSync(archive) : Buffer.from("FROM busybox\nRUN echo text > /a\n"),
    );
    try {
      workspace.write({
        "url/compose.yaml": `services: {tar: {build: "${server.url}/context.tar.gz"}, text: {build: "${server.url}/Dockerfile"}}`,
      });
      await workspace.ok(["build"], at);
      expect(await runImage("url-tar", "cat", "/a")).toBe("by-url\n");
      expect(await runImage("url-text", "cat", "/a")).toBe("text\n");
    } finally {
      server.close();
    }
  });
});

async function serve(content: (path: string) => Buffer): Promise<{ readonly url: string; close(): void }> {
  const server: Server = createServer((request, response) => response.end(content(request.url ?? "")));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, close: () => server.close() };
}

describe("git repositories", () => {
  let daemon: ChildProcess;
  let url: string;
  const git = (cwd: string, ...args: readonly string[]): string =>
    execFileSync(
      "git",
      [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@t",
        "-c",
        "init.defaultBranch=main",
        "-c",
        "protocol.file.allow=always",
        ...args,
      ],
      {
        cwd,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
        env: { PATH: process.env["PATH"], HOME: workspace.root },
      },
    ).trim();
  const commit = (name: string, files: Readonly<Record<string, string>>, ...more: readonly string[]): void => {
    const at = project(`repos/${name}`, files).cwd;
    if (!readdirSync(at).includes(".git")) git(at, "init", "-q");
    for (const word of more) git(at, ...word.split(" "));
    git(at, "add", "--", ...Object.keys(files));
    git(at, "commit", "-q", "-m", "x");
  };

  beforeAll(async () => {
    const port = await freePort();
    url = `git://127.0.0.1:${port}`;
    commit("sub", { part: "part\n" });
    commit("main.git", {
      Dockerfile: "FROM busybox\nCOPY . /src\nRUN cat /src/a > /all",
      a: "main\n",
      "folder/Dockerfile": "FROM busybox\nCOPY . /src\nRUN ls -a /src > /all",
      "folder/only": "x\n",
    });
    const repository = join(workspace.project, "repos/main.git");
    git(repository, "tag", "v1");
    git(repository, "checkout", "-q", "-b", "other");
    commit("main.git", { a: "other\n" });
    git(repository, "checkout", "-q", "main");
    daemon = spawn(
      "git",
      [
        "daemon",
        "--reuseaddr",
        "--listen=127.0.0.1",
        `--port=${port}`,
        "--export-all",
        `--base-path=${join(workspace.project, "repos")}`,
      ],
      { stdio: "ignore" },
    );
    await eventually(() => {
      git(workspace.project, "ls-remote", `${url}/sub`);
      return Promise.resolve(true);
    });
    git(repository, "submodule", "add", "-q", `${url}/sub`, "module");
    git(repository, "commit", "-q", "-m", "module");
  }, 60_000);
  afterAll(() => {
    for (const pid of childrenOf(daemon.pid ?? 0)) process.kill(pid, "SIGTERM");
    daemon.kill("SIGTERM");
  });

  const childrenOf = (pid: number): readonly number[] =>
    readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);

  async function built(context: string, command: readonly string[] = ["cat", "/all"]): Promise<string> {
    const at = project("git", { "compose.yaml": `services: {web: {build: "${context}"}}` });
    await workspace.ok(["build"], at);
    return await runImage("git-web", ...command);
  }

  test.each([
    ["/main.git", "main\n"],
    ["/main.git#other", "other\n"],
    ["/main.git#v1", "main\n"],
    ["/main.git#:folder", ".\n..\nDockerfile\nonly\n"],
    ["/main.git?branch=other", "other\n"],
  ])("%s is a context", async (path, text) => expect(await built(url + path)).toBe(text));

  test("a commit by its id is one too", async () => {
    const id = git(join(workspace.project, "repos/main.git"), "rev-parse", "other");
    expect(await built(`${url}/main.git#${id}`)).toBe("other\n");
  });

  test("submodules come along, without what git keeps", async () => {
    expect(await built(`${url}/main.git`, ["ls", "-a", "/src", "/src/module"])).toBe(
      "/src:\n.\n..\n.gitmodules\nDockerfile\na\nfolder\nmodule\n\n/src/module:\n.\n..\npart\n",
    );
  });

  test("ADD takes a repository, follows its branch, and keeps .git only when asked", async () => {
    const dockerfile = (flags: string): string =>
      `FROM busybox\nADD ${flags} ${url}/main.git#other /src\nRUN ls -a /src > /all`;
    const at = project("add", { "compose.yaml": "services: {web: {build: .}}", Dockerfile: dockerfile("") });
    await workspace.ok(["build"], at);
    expect(await runImage("add-web", "cat", "/all")).not.toContain(".git\n");
    workspace.write({ "add/Dockerfile": dockerfile("--keep-git-dir=true") });
    await workspace.ok(["build"], at);
    expect(await runImage("add-web", "cat", "/all")).toContain(".git\n");
    git(join(workspace.project, "repos/main.git"), "checkout", "-q", "other");
    commit("main.git", { later: "x\n" });
    git(join(workspace.project, "repos/main.git"), "checkout", "-q", "main");
    await workspace.ok(["build"], at);
    expect(await runImage("add-web", "cat", "/all")).toContain("later\n");
  });

  test.each([
    ["#--upload-pack=touch", /no branch, tag or commit/],
    ["#main:../../etc", /not in the repository/],
    ["#nothing", /no branch or tag nothing/],
    ["#main:nowhere", /no folder nowhere/],
  ])("%s is refused", async (fragment, message) => {
    const at = project("bad", { "compose.yaml": `services: {web: {build: "${url}/main.git${fragment}"}}` });
    const outcome = await workspace.run(["build"], at);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toMatch(message);
  });

  test("a folder that is a symlink leads nowhere outside, and hooks of the repository do not run", async () => {
    commit("evil.git", { ".githooks/post-checkout": "#!/bin/sh\ntouch /canary\n", a: "x\n" });
    const repository = join(workspace.project, "repos/evil.git");
    execFileSync("ln", ["-s", "/etc", join(repository, "out")]);
    git(repository, "config", "core.hooksPath", ".githooks");
    git(repository, "add", ".");
    git(repository, "commit", "-q", "-m", "link");
    const at = project("bad", { "compose.yaml": `services: {web: {build: "${url}/evil.git#main:out"}}` });
    const outcome = await workspace.run(["build"], at);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain("has no folder out");
    expect(readdirSync("/")).not.toContain("canary");
  });
});

test("the proxies of docker's configuration reach RUN, arguments of the file come first, and the image has neither", async () => {
  const at = project("proxies", {
    "compose.yaml": "services: {web: {build: {context: ., args: {NO_PROXY: mine}}}}",
    Dockerfile: "FROM busybox\nRUN echo $HTTP_PROXY $http_proxy $NO_PROXY > /seen\n",
    "config/config.json": JSON.stringify({ proxies: { default: { httpProxy: "http://p:1", noProxy: "theirs" } } }),
  });
  await workspace.ok(["build"], { ...at, env: { DOCKER_CONFIG: join(at.cwd, "config") } });
  expect(await runImage("proxies-web", "cat", "/seen")).toBe("http://p:1 http://p:1 mine\n");
  expect(await runImage("proxies-web", "env")).not.toContain("p:1");
});

describe("secrets and SSH", () => {
  test("a secret is seen by its step and by nothing else", async () => {
    const at = project("secret", {
      "compose.yaml": `
services: {web: {build: {context: ., secrets: [file, {source: variable, target: renamed}]}}}
secrets: {file: {file: ./s.txt}, variable: {environment: TOKEN}}
`,
      Dockerfile: `FROM busybox
RUN --mount=type=secret,id=file,required --mount=type=secret,id=renamed,env=T wc -c < /run/secrets/file > /lengths && echo \${#T} >> /lengths
RUN test ! -e /run/secrets/file && test -z "$T"`,
      "s.txt": "canary-file",
      ".dockerignore": "s.txt\n",
    });
    await workspace.ok(["build"], { ...at, env: { TOKEN: "canary-variable" } });
    expect(await runImage("secret-web", "cat", "/lengths")).toBe("11\n15\n");
    const found = execFileSync(
      "sh",
      ["-c", `grep -rl -e canary-file -e canary-variable "$1" || true`, "sh", workspace.dataRoot],
      { encoding: "utf8" },
    );
    expect(found).toBe("");
  });

  test("an SSH agent is there for its step, and for no other", async () => {
    const key = join(workspace.root, "id_test");
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "the-key", "-f", key]);
    const at = project("ssh", {
      "compose.yaml": `services: {web: {build: {context: ., ssh: ["mine=${key}"]}}}`,
      Dockerfile: `FROM busybox
RUN --mount=type=ssh,id=mine,required ls -l "$SSH_AUTH_SOCK" > /sock
RUN test ! -e /run/buildkit`,
    });
    await workspace.ok(["build"], at);
    expect(await runImage("ssh-web", "cat", "/sock")).toContain("/run/buildkit/ssh_agent.0");
    const missing = project("ssh", { "compose.yaml": "services: {web: {build: .}}" });
    const outcome = await workspace.run(["build", "--no-cache"], missing);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain("unset ssh forward key mine");
    expect(outcome.stderr).toContain("--ssh mine");
  });
});

describe("failures and checks", () => {
  test("a failing step shows its output, its lines, its exit code and how to look inside", async () => {
    const at = project("fail", {
      "compose.yaml": "services: {web: {build: .}}",
      Dockerfile: "FROM busybox\nRUN echo before > /state\nRUN echo what it said && exit 7\n",
    });
    const outcome = await workspace.run(["build"], at);
    expect(outcome.exitCode).toBe(1);
    for (const text of [
      "what it said",
      "Dockerfile:3:",
      "3 | RUN echo what it said",
      "non-zero code: 7",
      "--debug-shell web",
    ])
      expect(outcome.stderr).toContain(text);
  });

  test("--debug-shell gives a shell in the state before the step that failed, and leaves nothing", async () => {
    const at = { cwd: join(workspace.project, "fail"), input: "cat /state; exit\n" };
    const outcome = await workspace.run(["build", "--debug-shell"], at);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stdout).toContain("before\n");
    expect(outcome.stderr).toContain("exit 7");
    expect(await workspace.ok(["ps", "-a", "-q"], at)).toBe("");
  });

  test("--check tells of problems with their place and ends with 1; a clean one ends with 0", async () => {
    const at = project("check", {
      "compose.yaml": "services: {web: {build: .}}",
      Dockerfile: "FROM busybox AS Base\nRUN touch /never\nCMD echo $NOTHING\n",
    });
    const outcome = await workspace.run(["build", "--check"], at);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain("Dockerfile:1:17: StageNameCasing");
    expect(outcome.stderr).toContain("JSONArgsRecommended");
    expect(outcome.stdout).toContain("2 warnings have been found!");
    workspace.write({ "check/Dockerfile": '# check=skip=StageNameCasing\nFROM busybox AS Base\nCMD ["sh"]\n' });
    expect(await workspace.ok(["build", "--check"], at)).toBe("Check complete, no warnings found.\n");
    workspace.write({ "check/Dockerfile": "# check=error=true\nFROM busybox AS Base\n" });
    const failed = await workspace.run(["build"], at);
    expect(failed.exitCode).toBe(1);
    expect(failed.stderr).toContain("lint violation found for rules: StageNameCasing");
  });

  test("what a Dockerfile must not do is refused until it is asked for", async () => {
    const files = {
      "compose.yaml": "services: {web: {build: .}}",
      Dockerfile: "FROM busybox\nRUN --security=insecure grep CapEff /proc/self/status > /caps\n",
    };
    const at = project("insecure", files);
    const outcome = await workspace.run(["build"], at);
    expect(outcome.exitCode).toBe(1);
    expect(outcome.stderr).toContain("security.insecure is not allowed");
    workspace.write({ "insecure/compose.yaml": "services: {web: {build: {context: ., privileged: true}}}" });
    await workspace.ok(["build"], at);
  });

  test("--progress json tells one object a line", async () => {
    const at = { cwd: join(workspace.project, "check") };
    workspace.write({ "check/Dockerfile": "FROM busybox\nRUN echo hi\n" });
    const { stderr } = await workspace.run(["--progress", "json", "build", "--no-cache"], at);
    const kinds = stderr
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { readonly kind: string }).kind);
    expect(kinds).toEqual(expect.arrayContaining(["plan", "started", "output", "finished", "image"]));
  });
});
