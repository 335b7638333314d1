/** A COPY whose files have hardly changed since the last build takes the others over from that layer: it must be the layer that a copy
 *  of every file gives, whatever changed, and nobody may notice that files of two layers are one. */
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  createWriteStream,
  existsSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { Docker } from "../../../src/client/docker.ts";
import { eventually, Workspace } from "../../support/workspace.ts";

let workspace: Workspace;
let docker: Docker;
const compose = "services: {web: {build: {context: ., args: [SOURCE_DATE_EPOCH]}, image: reuse-web}}";
const old = new Date("2026-01-02T03:04:05.678Z");

beforeAll(async () => {
  workspace = await Workspace.create({});
  await workspace.loadBusybox();
  docker = new Docker({ socketPath: workspace.socket });
});
afterAll(async () => {
  docker.close();
  const leaks = await workspace.leaks();
  await workspace.dispose();
  expect(leaks).toEqual([]);
});
beforeEach(async () => {
  for (const { Id, RepoTags } of await docker.listImages({ all: true }))
    if (RepoTags?.includes("busybox:latest") !== true) await docker.getImage(Id).remove({ force: true });
  await docker.pruneBuilder({ all: true });
  rmSync(workspace.project, { recursive: true });
  workspace.write({
    "compose.yaml": compose,
    Dockerfile: "FROM busybox\nCOPY . /src\n",
    "a/one": "one\n",
    "a/two": "two\n",
    "a/b/three": "three\n",
    top: "top\n",
  });
  for (const path of ["a/one", "a/two", "a/b/three", "top"]) utimesSync(at(path), old, old);
});

const at = (path: string): string => join(workspace.project, path);

interface Built {
  readonly id: string;
  readonly layers: readonly string[];
}

async function build(folder = workspace.project, flags: readonly string[] = []): Promise<Built> {
  await workspace.ok(["build", ...flags], { cwd: folder });
  const { Id, RootFS } = await docker.getImage("reuse-web").inspect();
  return { id: Id, layers: RootFS.Layers ?? [] };
}

/** Where nothing is known of earlier builds: every file is copied. */
async function buildElsewhere(): Promise<Built> {
  const folder = join(workspace.root, "elsewhere");
  rmSync(folder, { recursive: true, force: true });
  execFileSync("cp", ["-a", workspace.project, folder]);
  return await build(folder, ["--no-cache"]);
}

/** How many names the file has in the highest layer of the image that has it. */
const namesIn = ({ layers }: Built, path: string): number | undefined =>
  layers
    .map((diffId) => join(layerDirectory(diffId), path))
    .filter((file) => existsSync(file))
    .map((file) => statSync(file).nlink)
    .at(-1);

function layerDirectory(diffId: string): string {
  const records = join(workspace.dataRoot, "images/layers");
  const name = readdirSync(records)
    .map((file) => JSON.parse(readFileSync(join(records, file), "utf8")) as { diffId: string; name: string })
    .find((record) => record.diffId === diffId)?.name;
  return join(workspace.dataRoot, "l", name ?? "none");
}

/** All that a tar of the layer has. Of the directory that stands for the context the time is that of the copy. */
function listing(diffId: string): readonly string[] {
  const inodes = new Map<number, string>();
  const walk = (root: string, path: string): readonly string[] =>
    readdirSync(join(root, path))
      .toSorted()
      .flatMap((entry) => {
        const below = join(path, entry);
        const full = join(root, below);
        const stat = lstatSync(full);
        const time = path === "" ? "" : Math.floor(stat.mtimeMs / 1000);
        const head = `${below} ${stat.mode.toString(8)} ${stat.uid}:${stat.gid} ${time}`;
        if (stat.isDirectory()) return [head, ...walk(root, below)];
        if (stat.isSymbolicLink()) return [`${head} -> ${readlinkSync(full)}`];
        if (!stat.isFile()) return [`${head} ${stat.rdev}`];
        const first = inodes.get(stat.ino);
        inodes.set(stat.ino, first ?? below);
        return [`${head} ${first === undefined ? readFileSync(full, "utf8") : `= ${first}`}`];
      });
  return walk(layerDirectory(diffId), "");
}

async function expectSameAsWhole(): Promise<void> {
  const { layers } = await build();
  const whole = await buildElsewhere();
  expect(listing(layers.at(-1) ?? "")).toEqual(listing(whole.layers.at(-1) ?? ""));
  expect(layers.length).toBe(whole.layers.length);
}

const changes: Readonly<Record<string, () => void>> = {
  "the content of a file": () => writeFileSync(at("a/one"), "changed\n"),
  "a content of the same size, with the same time": () => {
    writeFileSync(at("a/one"), "ONE\n");
    utimesSync(at("a/one"), old, old);
  },
  "only a mode": () => chmodSync(at("a/two"), 0o755),
  "a content and another file's time": () => {
    writeFileSync(at("a/one"), "changed\n");
    utimesSync(at("a/two"), new Date("2026-03-04T05:06:07Z"), new Date("2026-03-04T05:06:07Z"));
  },
  "a content and the time of a directory": () => {
    writeFileSync(at("a/one"), "changed\n");
    utimesSync(at("a/b"), old, old);
  },
  "a file that becomes a directory": () => {
    unlinkSync(at("a/one"));
    workspace.write({ "a/one/inside": "inside\n" });
  },
  "a directory that becomes a file": () => {
    rmSync(at("a/b"), { recursive: true });
    workspace.write({ "a/b": "file\n" });
  },
  "a file that becomes a symlink": () => {
    unlinkSync(at("a/one"));
    symlinkSync("two", at("a/one"));
  },
  "two files that become one": () => {
    unlinkSync(at("a/two"));
    linkSync(at("a/one"), at("a/two"));
  },
  "a file that goes": () => unlinkSync(at("a/one")),
  "a file that comes": () => workspace.write({ "a/new": "new\n" }),
  "a .dockerignore": () => workspace.write({ ".dockerignore": "a/one\n" }),
  "another destination": () => workspace.write({ Dockerfile: "FROM busybox\nCOPY . /other\n" }),
  "an owner": () => workspace.write({ Dockerfile: "FROM busybox\nCOPY --chown=3:4 . /src\n" }),
  "a mode for all": () => workspace.write({ Dockerfile: "FROM busybox\nCOPY --chmod=0700 . /src\n" }),
  "a pattern": () => workspace.write({ Dockerfile: "FROM busybox\nCOPY --exclude=**/two . /src\n" }),
  "what is below": () =>
    workspace.write({ Dockerfile: "FROM busybox\nRUN mkdir -p /src/a && echo x > /src/a/one\nCOPY . /src\n" }),
  "a layer of its own": () => workspace.write({ Dockerfile: "FROM busybox\nCOPY --link . /src\n" }),
};

test.each(Object.keys(changes))("after %s the layer is that of a whole copy", async (what) => {
  await build();
  changes[what]?.();
  await expectSameAsWhole();
});

test.each(["--chown=3:4 ", "--chmod=0700 ", "--exclude=**/two ", "--link "])(
  "a copy with %s takes over what has not changed, and is that of a whole copy",
  async (flag) => {
    workspace.write({ Dockerfile: `FROM busybox\nCOPY ${flag}. /src\n` });
    await build();
    writeFileSync(at("top"), "other\n");
    const second = await build();
    expect(namesIn(second, "src/a/one")).toBe(2);
    expect(namesIn(second, "src/top")).toBe(1);
    await expectSameAsWhole();
  },
);

test("with SOURCE_DATE_EPOCH, over files that are there and into the working directory as well", async () => {
  workspace.write({
    Dockerfile:
      "FROM busybox\nARG SOURCE_DATE_EPOCH\nWORKDIR /src\nRUN mkdir a && echo old > a/one && echo two > a/two && ln -s /src /way\nCOPY . /way/\n",
  });
  const env = { SOURCE_DATE_EPOCH: "1768000000" };
  const buildThere = async (cwd: string, flags: readonly string[] = []): Promise<Built> => {
    await workspace.ok(["build", ...flags], { cwd, env });
    const { Id, RootFS } = await docker.getImage("reuse-web").inspect();
    return { id: Id, layers: RootFS.Layers ?? [] };
  };
  await buildThere(workspace.project);
  writeFileSync(at("top"), "other\n");
  const second = await buildThere(workspace.project);
  expect(namesIn(second, "src/a/b/three")).toBe(2);
  expect(namesIn(second, "src/Dockerfile")).toBe(1);
  const folder = join(workspace.root, "elsewhere");
  rmSync(folder, { recursive: true, force: true });
  execFileSync("cp", ["-a", workspace.project, folder]);
  const whole = await buildThere(folder, ["--no-cache"]);
  expect(second.layers.map(listing).flat().join("\n")).toBe(whole.layers.map(listing).flat().join("\n"));
  expect(second.layers).toEqual(whole.layers);
});

test("an earlier layer may go before, and after", async () => {
  const first = await build();
  writeFileSync(at("top"), "other\n");
  const second = await build();
  expect(namesIn(second, "src/a/one")).toBe(2);
  await docker.getImage(first.id).remove({ force: true });
  await docker.pruneBuilder({ all: false });
  expect(existsSync(layerDirectory(first.layers.at(-1) ?? ""))).toBe(false);
  await eventually(() => (namesIn(second, "src/a/one") === 1 ? true : undefined));
  expect(await workspace.ok(["run", "--rm", "-T", "--quiet", "web", "cat", "/src/a/one"])).toBe("one\n");
  await workspace.ok(["down"]);
  await docker.getImage("reuse-web").remove({ force: true });
  await docker.pruneBuilder({ all: true, filters: { type: ["regular"] } });
  expect(existsSync(layerDirectory(second.layers.at(-1) ?? ""))).toBe(false);
  writeFileSync(at("top"), "third\n");
  await expectSameAsWhole();
});

test("a container sees files of its own, and what it writes stays in it", async () => {
  workspace.write({ Dockerfile: "FROM busybox\nCOPY . /src\nCOPY . /also\n" });
  await build();
  writeFileSync(at("top"), "other\n");
  const second = await build();
  expect(namesIn(second, "src/a/one")).toBe(2);
  expect(namesIn(second, "also/a/one")).toBe(2);
  // The same context under its image: the same files in two layers, and at other places, too.
  workspace.write({ Dockerfile: "FROM reuse-web\nRUN mv /src /was\nCOPY . /src\nCOPY . /third\n" });
  await build();
  const script =
    "set -e; stat -c '%i' /src/a/one /also/a/one /was/a/one /third/a/one | sort -u | wc -l;" +
    " mkdir /t; cp -a /src /also /was /third /t; find /t -type f -links +1 | wc -l; tar c /src /was /also | tar tv | grep -c ' link to ' || true;" +
    " echo changed > /src/a/one; cat /also/a/one /was/a/one /third/a/one";
  expect(await workspace.ok(["run", "--rm", "-T", "--quiet", "web", "sh", "-c", script])).toBe(
    "4\n0\n0\none\none\none\n",
  );
  expect(await workspace.ok(["run", "--rm", "-T", "--quiet", "web", "cat", "/src/a/one"])).toBe("one\n");
  await workspace.ok(["down"]);
});

test("what is saved has no links from layer to layer", async () => {
  await build();
  writeFileSync(at("top"), "other\n");
  await build();
  const archive = join(workspace.root, "image.tar");
  await pipeline(await docker.getImage("reuse-web").get(), createWriteStream(archive));
  const unpacked = join(workspace.root, "unpacked");
  execFileSync("mkdir", ["-p", unpacked]);
  execFileSync("tar", ["xf", archive, "-C", unpacked]);
  const layers = execFileSync("find", [unpacked, "-type", "f", "-size", "+1k"], { encoding: "utf8" })
    .trim()
    .split("\n");
  const listed = layers.map((layer) => {
    try {
      return execFileSync("tar", ["tvf", layer], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    } catch {
      return "";
    }
  });
  const own = listed.filter((text) => text.includes("src/a/one"));
  expect(own.length).toBe(1);
  expect(own[0]).not.toContain(" link to ");
  expect(own[0]).toContain("src/a/b/three");
});

test("a build that begins while another reads an older state of the folder takes its own", async () => {
  workspace.write({ Dockerfile: "FROM busybox\nRUN sleep 1.5\nCOPY . /src\n" });
  await build();
  writeFileSync(at("top"), "first\n");
  workspace.write({ "a/one": "first\n" });
  const first = workspace.ok(["build", "--no-cache"]);
  await eventually(() => (readdirSync(join(workspace.dataRoot, "build/work")).length > 0 ? true : undefined));
  await new Promise((resolve) => setTimeout(resolve, 500));
  workspace.write({ "a/one": "second\n", "compose.yaml": compose.replace("reuse-web", "reuse-second") });
  await Promise.all([first, workspace.ok(["build"])]);
  const seen = async (image: string): Promise<readonly string[]> => {
    const { RootFS } = await docker.getImage(image).inspect();
    return listing(RootFS.Layers?.at(-1) ?? "").filter((line) => /^src\/(?:a\/one|a\/two|top) /.test(line));
  };
  const contents = async (image: string): Promise<readonly string[]> =>
    (await seen(image)).map((line) => line.trim().split(" ").at(-1) ?? "");
  expect(await contents("reuse-web")).toEqual(["first", "two", "first"]);
  expect(await contents("reuse-second")).toEqual(["second", "two", "first"]);
});
