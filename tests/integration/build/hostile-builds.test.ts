/** Builds that try to get out: contexts, archives for ADD, mounts, symlinks of an image, and what RUN can reach. Numbers are those of
 *  the project's threat list. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { EngineProcess } from "../../support/engine-process.ts";
import { buildArchive, buildLines, tar, type BuildQuery, type Entries, type Outcome } from "./build-fixture.ts";
import { Canary } from "./canary.ts";

/** How often a race is run. */
const races = Number(process.env["BUILD_RACES"] ?? 8);

let engine: EngineProcess;
let canary: Canary;

beforeAll(async () => {
  engine = await EngineProcess.start({ SECRET_OF_THE_ENGINE: "not-for-builds" });
  canary = new Canary(join(engine.root, "canary"));
});
afterAll(async () => {
  await engine.dispose();
});
afterEach(() => {
  expect(canary.changes()).toEqual([]);
});

const build = async (lines: readonly string[], files: Entries = {}, query: BuildQuery = {}): Promise<Outcome> => {
  const outcome = await buildLines(engine, lines, files, query);
  expect(outcome.text).not.toContain(canary.secret);
  return outcome;
};

/** Entries that lead out of where they are unpacked, by what they try. `@` stands for the canary's directory. */
const escapes: readonly (readonly [string, readonly (readonly [string, object | string])[]])[] = [
  ["I-10 a name with ..", [["../escaped", "x"]]],
  ["I-10 .. in the middle", [["a/../../escaped", "x"]]],
  ["I-10 an absolute name", [["@/escaped", "x"]]],
  ["I-10 dots", [["./././../escaped", "x"]]],
  [
    "I-11 a file through an absolute symlink",
    [
      ["out", { type: "symlink", link: "@" }],
      ["out/passwd", "x"],
    ],
  ],
  [
    "I-11 a file through a relative symlink",
    [
      ["out", { type: "symlink", link: "../../../../../../@" }],
      ["out/escaped", "x"],
    ],
  ],
  [
    "I-11 a symlink in the place of a directory that was there",
    [
      ["out/", { type: "dir" }],
      ["out", { type: "symlink", link: "@" }],
      ["out/escaped", "x"],
    ],
  ],
  [
    "I-11 a loop of symlinks",
    [
      ["x", { type: "symlink", link: "y" }],
      ["y", { type: "symlink", link: "x" }],
      ["x/file", "x"],
    ],
  ],
  [
    "I-12 a hard link to a file of the host",
    [
      ["hard", { type: "hardlink", link: "@/passwd" }],
      ["hard", "x"],
    ],
  ],
  ["I-12 a hard link with ..", [["hard", { type: "hardlink", link: "../../../../../../../../@/passwd" }]]],
  [
    "I-12 a hard link through a symlink",
    [
      ["out", { type: "symlink", link: "@" }],
      ["hard", { type: "hardlink", link: "out/passwd" }],
    ],
  ],
  ["I-12 a hard link to itself", [["self", { type: "hardlink", link: "self" }]]],
  [
    "I-13 a whiteout through a symlink",
    [
      ["out", { type: "symlink", link: "@" }],
      ["out/.wh.passwd", ""],
    ],
  ],
  [
    "I-13 a whiteout of all",
    [
      [".wh...", ""],
      [".wh..", ""],
      [".wh..wh..opq", ""],
    ],
  ],
  [
    "I-14 a mode through a symlink",
    [
      ["out", { type: "symlink", link: "@/passwd" }],
      ["out", { type: "dir", mode: 0o777, uid: 7, gid: 7 }],
    ],
  ],
  [
    "I-15 names with a newline, and bytes that are no text",
    [
      ["new\nline", "x"],
      ["\xff\xfe", "x"],
      [`${"n".repeat(255)}`, "x"],
    ],
  ],
  ["I-15 a name that is too long", [["n".repeat(256), "x"]]],
  ["I-15 a path that is too long", [[`${"d/".repeat(2100)}f`, "x"]]],
  [
    "I-16 devices, FIFOs, setuid",
    [
      ["null", { type: "char", device: { major: 1, minor: 3 } }],
      ["disk", { type: "block", device: { major: 254, minor: 0 } }],
      ["fifo", { type: "fifo" }],
      ["suid", { mode: 0o6755, content: "x" }],
    ],
  ],
  [
    "I-17 attributes of overlayfs",
    [
      [
        "redirect",
        {
          xattrs: new Map([
            ["trusted.overlay.redirect", Buffer.from("/etc")],
            ["trusted.overlay.opaque", Buffer.from("y")],
          ]),
          content: "x",
        },
      ],
    ],
  ],
  ["I-17 a device that is a whiteout of overlayfs", [["etc", { type: "char", device: { major: 0, minor: 0 } }]]],
];

function entriesAt(entries: readonly (readonly [string, object | string])[], directory: string): Entries {
  return entries.map(([name, entry]): readonly [string, object | string] => {
    const given =
      typeof entry === "string"
        ? entry
        : { ...entry, ...("link" in entry ? { link: String(entry.link).replace("@", directory) } : {}) };
    return [name.replace("@", directory), given];
  }) as Entries;
}

/** What may come of it: an image, or a refusal that says why. */
function expectContained({ error }: Outcome): void {
  if (error !== undefined) expect(error).not.toMatch(/internal|undefined|TypeError|E[A-Z]{3,}:/);
}

describe("B-04 an archive of a context stays in its directory", () => {
  it.each(escapes)("%s", async (_, entries) => {
    const outcome = await build(
      ["FROM busybox", "COPY . /ctx/", "RUN cat /ctx/passwd /ctx/hard /ctx/out/passwd; ls -la /ctx; true"],
      entriesAt(entries, canary.directory),
    );
    expectContained(outcome);
  });

  it.each([
    [
      "I-18 a broken checksum",
      Buffer.concat([tar({ a: "x" }).subarray(0, 148), Buffer.from("0000000\0"), tar({ a: "x" }).subarray(156)]),
    ],
    [
      "I-18 an archive that ends early",
      tar({ Dockerfile: "FROM scratch\n", big: { content: Buffer.alloc(9000) } }).subarray(0, 4096),
    ],
    ["I-19 a file of 8 TiB that is not there", tar({ Dockerfile: "FROM scratch\n", big: { size: 2 ** 43 } })],
    ["I-20 no archive at all", Buffer.from("GET / HTTP/1.1\n".repeat(100))],
  ])("%s is refused", async (_, archive) => {
    const { error } = await buildArchive(engine, archive);
    expect(error).toMatch(/not a usable archive|Cannot locate|space|too large|limit/);
  });
});

describe("archives unpacked by ADD stay in the image", () => {
  it.each(escapes)("%s", async (_, entries) => {
    const archive = tar(entriesAt(entries, canary.directory));
    const lines = [
      "FROM busybox",
      `RUN mkdir /dst && ln -s ${canary.directory} /dst/lnk`,
      "ADD arch.tar /dst/",
      "ADD arch.tar /dst/lnk/",
      "RUN cat /dst/passwd /dst/hard /dst/out/passwd; true",
    ];
    expectContained(await build(lines, { "arch.tar": { content: archive } }));
  });
});

interface CopyCase {
  readonly about: string;
  readonly lines: readonly string[];
  readonly files?: Readonly<Record<string, object | string>>;
  readonly query?: BuildQuery;
}

const link = (target: string): object => ({ type: "symlink", link: target });

const copyCases: readonly CopyCase[] = [
  { about: "COPY of a path with ..", lines: ["FROM scratch", "COPY ../../../../../../@/passwd /p"] },
  { about: "COPY of an absolute path", lines: ["FROM scratch", "COPY @/passwd /p"] },
  {
    about: "COPY of a symlink that leads out",
    lines: ["FROM scratch", "COPY out /p"],
    files: { out: link("@/passwd") },
  },
  { about: "COPY through a symlink", lines: ["FROM scratch", "COPY out/passwd /p"], files: { out: link("@") } },
  { about: "COPY of a pattern", lines: ["FROM scratch", "COPY out/* /p/"], files: { out: link("@") } },
  { about: "COPY --parents", lines: ["FROM scratch", "COPY --parents ./out/./passwd /p/"], files: { out: link("@") } },
  {
    about: "COPY to a symlink of the image",
    lines: [
      "FROM busybox",
      "RUN ln -s @ /lnk",
      "COPY f /lnk/escaped",
      "COPY f /lnk/",
      "COPY --chown=1:1 --chmod=777 f /lnk/passwd",
    ],
    files: { f: "x" },
  },
  {
    about: "COPY --from of a symlink that leads out",
    lines: [
      "FROM busybox AS a",
      "RUN ln -s @/passwd /lnk",
      "FROM busybox",
      "COPY --from=a /lnk /p",
      "RUN cat /p || true",
    ],
  },
  {
    about: "WORKDIR at a symlink of the image",
    lines: ["FROM busybox", "RUN ln -s @ /lnk", "WORKDIR /lnk/made", "USER 5", "WORKDIR /lnk/other"],
  },
  {
    about: "passwd as a symlink that leads out",
    lines: [
      "FROM busybox",
      "RUN rm /etc/passwd && ln -s @/passwd /etc/passwd",
      "COPY --chown=root:root f /f",
      "USER nobody",
    ],
    files: { f: "x" },
  },
  {
    about: "B-11 a mount stub that becomes a symlink",
    lines: [
      "FROM busybox",
      "RUN --mount=type=tmpfs,target=/stub/a/b mv /stub /moved && ln -s @ /stub; true",
      "RUN --mount=type=tmpfs,target=/stub/a/b true; true",
      "RUN --mount=type=tmpfs,target=/stub/empty true; true",
    ],
  },
  {
    about: "B-15 a Dockerfile that is a symlink",
    lines: ["FROM scratch"],
    files: { "Dockerfile.other": link("@/passwd") },
    query: { dockerfile: "Dockerfile.other" },
  },
  {
    about: "an ignore file that is a symlink",
    lines: ["FROM busybox", "COPY . /x"],
    files: { ".dockerignore": link("@/passwd") },
  },
];

describe("copies stay where they belong", () => {
  it.each(copyCases)("$about", async ({ lines, files = {}, query = {} }) => {
    const here = (text: string): string => text.replaceAll("@", canary.directory);
    expectContained(await build(lines.map(here), entriesAt(Object.entries(files), canary.directory), query));
  });
});

describe("B-13 options of mounts stay within their source", () => {
  const evil =
    "find / -xdev -name key 2>/dev/null; cat /t/passwd /t/private/key /t 2>/dev/null; echo x > /t/escaped; rm -rf /t/a; chmod 777 /t/passwd; true";
  it.each([
    "type=bind,source=../../../../../..@,target=/t",
    "type=bind,source=@,target=/t",
    "type=bind,source=out,target=/t,rw",
    "type=bind,source=out/private,target=/t,rw",
    "type=bind,source=/,target=/t,rw",
    "type=bind,from=/,source=@,target=/t",
    "type=bind,from=../..,target=/t",
    "type=bind,from=busybox,source=@,target=/t",
    "type=bind,from=linked,source=/lnk,target=/t,rw",
    "type=bind,from=linked,source=/lnk/private,target=/t,rw",
    "type=bind,source=.,target=/t,bind-propagation=shared",
    "type=bind,source=.,target=/t,bind-propagation=rshared",
    "type=bind,source=.,target=../../t,rw",
    "type=bind,source=.,target=/proc,rw",
    "type=bind,source=.,target=/proc/self,rw",
    "type=bind,source=.,target=/sys/fs/cgroup,rw",
    "type=bind,source=.,target=/dev,rw",
    "type=bind,source=.,target=/,rw",
    "type=bind,source=.,target=.,rw",
    "type=cache,id=../../../../../..@,target=/t",
    "type=cache,id=/etc,target=/t",
    "type=cache,id=@,target=/t",
    "type=cache,id=..,target=/t",
    "type=cache,source=../../../..@,target=/t",
    "type=cache,source=@,target=/t",
    "type=cache,from=linked,source=/lnk,target=/t",
    "type=cache,target=/t,sharing=../..",
    "type=cache,target=/lnk/t",
    "type=cache,target=/t,uid=-1",
    "type=cache,target=/t,mode=07777",
    "type=tmpfs,target=/t,size=9e99",
    "type=tmpfs,target=/t,size=-1",
    "type=tmpfs,target=/lnk,rw",
    "type=secret,id=../../../..@/passwd,target=/t",
    "type=secret,id=@/passwd,target=/t",
    "type=secret,id=x,target=/t,src=@/passwd",
    "type=ssh,target=@/passwd",
    "type=volume,source=@,target=/t",
    "type=npipe,source=@,target=/t",
    "type=bind,volume-driver=local,device=@,target=/t",
  ])("%s", async (mount) => {
    const here = (text: string): string => text.replaceAll("@", canary.directory);
    const lines = ["FROM busybox AS linked", "RUN ln -s @ /lnk", "FROM linked", `RUN --mount=${mount} ${evil}`];
    expectContained(await build(lines.map(here), { out: { type: "symlink", link: canary.directory } }));
  });
});

describe("B-10 a cache that two builds share", () => {
  it("leads nowhere when one of them puts symlinks into it while the other mounts a part of it", async () => {
    const swap = `for i in $(seq 1 ${races * 60}); do rm -rf sub; ln -s ${canary.directory} sub; rm sub; mkdir sub; done`;
    const cache = "--mount=type=cache,id=shared,target=/t";
    expect((await build(["FROM busybox", `RUN ${cache} mkdir -p /t/sub`])).error).toBeUndefined();
    const swapping = build(["FROM busybox", `RUN ${cache} cd /t; ${swap}`]);
    const evil = "cat /s/passwd 2>/dev/null; echo x > /s/escaped; true";
    for (let race = 0; race < races; race += 1)
      expectContained(await build(["FROM busybox", `RUN ${cache},source=sub,target=/s echo ${race}; ${evil}`]));
    expect((await swapping).error).toBeUndefined();
  });
});

describe("RUN is confined as a container is", () => {
  it("B-05 holds the default capabilities under a filter, in namespaces of its own, and sees no kernel settings to change", async () => {
    const kinds = ["net", "pid", "ipc", "uts", "mnt", "cgroup"];
    const { text, error } = await build([
      "FROM busybox",
      "RUN grep -E '^(CapInh|CapEff|CapBnd|CapAmb|Seccomp):' /proc/self/status",
      `RUN for n in ${kinds.join(" ")}; do readlink /proc/self/ns/$n; done`,
      "RUN echo 1 > /proc/sys/kernel/sysrq || echo sysctl refused; echo x > /proc/sysrq-trigger || echo sysrq refused; mount -t tmpfs none /mnt || echo mount refused",
      "RUN mknod /disk b 254 0 && head -c 1 /disk || echo device refused; dmesg > /dev/null || echo log refused; wc -c < /proc/kcore; ls /sys/firmware | wc -l",
      "RUN unshare -U true || echo userns refused; chroot / true && echo chroot; hostname other || echo hostname refused",
      "RUN ls /proc/self/fd | wc -l; ls /dev | tr '\\n' ' '; cat /proc/1/comm",
    ]);
    expect(error).toBeUndefined();
    for (const line of [
      "CapInh:\t0000000000000000",
      "CapEff:\t00000000a80425fb",
      "CapBnd:\t00000000a80425fb",
      "CapAmb:\t0000000000000000",
      "Seccomp:\t2",
    ])
      expect(text).toContain(line);
    for (const refused of ["sysctl", "sysrq", "mount", "device", "log", "userns", "hostname"])
      expect(text).toContain(`${refused} refused`);
    for (const kind of kinds.filter((name) => name !== "cgroup"))
      expect(text).not.toContain(readlinkSync(`/proc/${engine.pid}/ns/${kind}`));
  });

  it("B-06 has no network with --network=none, and the host's only where that was allowed", async () => {
    const { text } = await build(["FROM busybox", "RUN --network=none ls /sys/class/net | tr '\\n' ' '; echo end"]);
    expect(text).toContain("lo end");
    expect((await build(["FROM busybox", "RUN --network=host true"])).error).toContain("network.host is not allowed");
  });

  it("B-07 gets no more rights, and no devices, by asking", async () => {
    expect((await build(["FROM busybox", "RUN --security=insecure true"])).error).toContain(
      "security.insecure is not allowed",
    );
    expect((await build(["FROM busybox", "RUN --device=vendor.com/class=all true"])).error).toMatch(/device/);
  });

  it("B-08 leaves no process behind", async () => {
    const { error } = await build([
      "FROM busybox",
      "RUN (setsid sleep 3181.5 > /dev/null 2>&1 &) ; sleep 0.2; echo left",
    ]);
    expect(error).toBeUndefined();
    await vi.waitFor(() => expect(commands().filter((command) => command.includes("3181.5"))).toEqual([]));
  });

  it("B-12 runs no front end that a Dockerfile names", async () => {
    for (const syntax of ["evil/frontend", "docker.io/evil/dockerfile:1", "docker/dockerfile@sha256:x"]) {
      const { error } = await build([`# syntax=${syntax}`, "FROM busybox"]);
      expect(error, syntax).toContain("is not supported");
    }
  });

  it("B-18 sees the variables of the Dockerfile and none of the engine", async () => {
    const { text } = await build(["FROM busybox", "ENV A=b", "ARG C=d", "RUN echo begin; env | sort; echo end"]);
    const shown = text.slice(text.indexOf("begin\n") + 6, text.indexOf("\nend\n")).split("\n");
    expect(shown.map((line) => line.split("=")[0])).toEqual(["A", "C", "HOME", "PATH", "PWD", "SHLVL"]);
    expect(text).not.toContain("not-for-builds");
  });
});

function commands(): readonly string[] {
  return readdirSync("/proc").flatMap((pid) => {
    try {
      return /^\d+$/.test(pid) ? [readFileSync(`/proc/${pid}/cmdline`, "latin1")] : [];
    } catch {
      return [];
    }
  });
}
