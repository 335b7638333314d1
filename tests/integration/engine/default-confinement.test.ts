import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { maskedPaths, readonlyPaths } from "../../../src/engine/runtime/confined-paths.ts";
import type { ContainerConfig, HostConfig } from "../../../src/engine/types.ts";
import { EngineProcess, splitFrames, until } from "../../support/engine-process.ts";
import { buildProgram } from "../../support/programs.ts";

/** The rows T-CONF of security.md section 1, beside those of `confinement.test.ts` (1, 2, 8, 12), `seccomp.test.ts` (9, 10) and
 *  `hostile-images.test.ts` (14). */

let engine: EngineProcess;
/** One that sleeps, for looks from outside and for exec. */
let sleeper: string;
const corePattern = (): string => readFileSync("/proc/sys/kernel/core_pattern", "latin1");
let corePatternBefore: string;

beforeAll(async () => {
  corePatternBefore = corePattern();
  engine = await EngineProcess.start();
  sleeper = await engine.run(["sleep", "1000"]);
});
afterAll(async () => {
  await engine.dispose();
});

async function out(script: string, host: HostConfig = {}, config: ContainerConfig = {}): Promise<string> {
  const { out: text, err } = await engine.finish(["sh", "-c", script], host, config);
  return `${text}${err}`.trim();
}

async function exec(script: string, options: object = {}): Promise<string> {
  const session = await engine.docker
    .getContainer(sleeper)
    .exec({ Cmd: ["sh", "-c", script], AttachStdout: true, AttachStderr: true, ...options });
  const stream = await session.start({});
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(Buffer.from(chunk as Uint8Array));
  return splitFrames(Buffer.concat(chunks)).out.trim();
}

describe("T-CONF-1: an exec", () => {
  const script = "grep -E '^(Cap|Seccomp:|NoNewPrivs)' /proc/self/status | tr '\\t' ' '";
  test("holds what its container holds, nothing of it inheritable", async () => {
    expect((await exec(script)).split("\n")).toEqual([
      "CapInh: 0000000000000000",
      "CapPrm: 00000000a80425fb",
      "CapEff: 00000000a80425fb",
      "CapBnd: 00000000a80425fb",
      "CapAmb: 0000000000000000",
      "NoNewPrivs: 0",
      "Seccomp: 2",
    ]);
  });
  test("as another user holds nothing, and has descriptors 0 to 2 only", async () => {
    expect(await exec(script, { User: "1000" })).toMatch(/CapPrm: 0{16}\nCapEff: 0{16}\nCapBnd: 0{8}a80425fb/);
    // The fourth is the directory that `ls` reads.
    expect((await exec("exec ls /proc/self/fd", { User: "1000" })).split("\n")).toEqual(["0", "1", "2", "3"]);
  });
});

describe("T-CONF-3: namespaces", () => {
  test("are the container's own, but the cgroup one on version 1 and the user's", async () => {
    const pid = (await engine.inspect(sleeper)).State.Pid;
    const shared = ["mnt", "net", "uts", "pid", "ipc", "cgroup", "user"].filter(
      (name) => readlinkSync(`/proc/${pid}/ns/${name}`) === readlinkSync(`/proc/${engine.pid}/ns/${name}`),
    );
    expect(shared).toEqual(
      statSync("/sys/fs/cgroup/cgroup.procs", { throwIfNoEntry: false }) ? ["user"] : ["cgroup", "user"],
    );
  });
});

describe("T-CONF-4: mounts", () => {
  test("are those of the list with its options", async () => {
    const lines = (await out("cat /proc/self/mountinfo")).split("\n").map((line) => {
      const [left = "", right = ""] = line.split(" - ");
      const [, , , , target = "", options = ""] = left.split(" ");
      const [type = "", , superOptions = ""] = right.split(" ");
      return { target, type, options: options.split(","), superOptions: superOptions.split(",") };
    });
    const at = (target: string): { type: string; has: readonly string[] } => {
      const found = lines.findLast((line) => line.target === target);
      return { type: found?.type ?? "", has: [...(found?.options ?? []), ...(found?.superOptions ?? [])] };
    };
    const expected: readonly (readonly [string, string, string])[] = [
      ["/", "overlay", "rw"],
      ["/proc", "proc", "rw nosuid nodev noexec"],
      ["/dev", "tmpfs", "rw nosuid size=65536k mode=755"],
      ["/dev/pts", "devpts", "rw nosuid noexec gid=5 mode=620 ptmxmode=666"],
      ["/sys", "sysfs", "ro nosuid nodev noexec"],
      ["/dev/mqueue", "mqueue", "rw nosuid nodev noexec"],
      ["/dev/shm", "tmpfs", "rw nosuid nodev noexec size=65536k"],
    ];
    for (const [target, type, options] of expected) {
      expect({ target, type: at(target).type }).toEqual({ target, type });
      expect(at(target).has).toEqual(expect.arrayContaining(options.split(" ")));
    }
    // Nothing but these, the engine's files, the cgroups, and the covers of masked and protected paths.
    const known = new Set([
      ...expected.map(([target]) => target),
      ...maskedPaths,
      ...readonlyPaths,
      "/etc/hosts",
      "/etc/hostname",
      "/etc/resolv.conf",
    ]);
    const strange = lines.filter(
      ({ target }) =>
        !known.has(target) && !target.startsWith("/sys/fs/cgroup") && !/\/cpu\d+\/thermal_throttle$/.test(target),
    );
    expect(strange).toEqual([]);
    const cgroups = lines.filter(({ type }) => type.startsWith("cgroup"));
    expect(cgroups.length).toBeGreaterThan(0);
    expect(cgroups.filter(({ options }) => !options.includes("ro"))).toEqual([]);
  });
});

describe("T-CONF-5: a read-only bind", () => {
  test("is read-only in the mounts below it too", async () => {
    const outer = join(engine.root, "outer");
    mkdirSync(join(outer, "inner"), { recursive: true });
    // In the engine's mount namespace: the runtime binds from there.
    const inEngine = (...argv: string[]): void => {
      execFileSync("nsenter", [`--mount=/proc/${engine.pid}/ns/mnt`, ...argv]);
    };
    inEngine("mount", "-t", "tmpfs", "writable", join(outer, "inner"));
    try {
      const text = await out("touch /o/x 2>&1; touch /o/inner/x 2>&1; grep -c writable /proc/self/mounts", {
        Binds: [`${outer}:/o:ro`],
      });
      expect(text).toMatch(/x: Read-only file system\n.*inner\/x: Read-only file system\n1$/);
    } finally {
      inEngine("umount", join(outer, "inner"));
    }
  });
});

describe("T-CONF-6: masked paths", () => {
  test("read as empty, and can be neither written nor taken away", async () => {
    const script = `for p in ${maskedPaths.join(" ")} /sys/devices/system/cpu/cpu0/thermal_throttle; do
      if [ -d $p ]; then
        [ -z "$(ls -A $p)" ] || echo "$p lists something"
        mkdir $p/x 2>/dev/null && echo "$p can be written"
      elif [ -e $p ]; then
        [ "$(head -c 1 $p | wc -c)" = 0 ] || echo "$p reads something"
        rm $p 2>/dev/null && echo "$p can be removed"
      else continue
      fi
      umount $p 2>/dev/null && echo "$p can be unmounted"
      echo seen
    done; true`;
    const lines = (await out(script)).split("\n");
    expect(lines.filter((line) => line !== "seen")).toEqual([]);
    expect(lines.length).toBeGreaterThanOrEqual(4);
  });
});

describe("T-CONF-7 and 13: what belongs to the host", () => {
  test("cannot be written, and keeps its value", async () => {
    const script = [
      "/proc/sysrq-trigger",
      "/proc/sys/kernel/core_pattern",
      "/proc/irq/default_smp_affinity",
      "/proc/sys/kernel/hostname",
      "/proc/sys/vm/overcommit_memory",
    ]
      .map(
        (path) =>
          `[ ! -e ${path} ] || (echo h > ${path}) 2>&1 | grep -o -E 'Read-only file system|Permission denied' || echo wrote ${path}`,
      )
      .join("; ");
    expect(new Set((await out(script)).split("\n"))).toEqual(new Set(["Read-only file system"]));
    expect(corePattern()).toBe(corePatternBefore);
  });
});

describe("T-CONF-8: devices", () => {
  test("that are not its own cannot be opened, also when their nodes can be made", async () => {
    const nodes = ["b 259 0", "b 254 0", "c 1 1", "c 1 2", "c 10 229", "c 10 200", "c 1 11"];
    const script = nodes.map((node, index) => `mknod /d${index} ${node} && (: < /d${index}) 2>&1`).join("; ");
    const lines = (await out(script)).split("\n");
    expect(lines).toHaveLength(nodes.length);
    expect(lines.filter((line) => !/Operation not permitted/.test(line))).toEqual([]);
  });
  test("and those that it has are the standard ones", async () => {
    const script =
      "cd /dev; for d in *; do [ -L $d ] && echo $d $(readlink $d) || [ ! -c $d ] || stat -c '%n %t:%T' $d; done";
    expect((await out(script)).split("\n")).toEqual([
      "core /proc/kcore",
      "fd /proc/self/fd",
      "full 1:7",
      "null 1:3",
      "ptmx pts/ptmx",
      "random 1:8",
      "stderr /proc/self/fd/2",
      "stdin /proc/self/fd/0",
      "stdout /proc/self/fd/1",
      "tty 5:0",
      "urandom 1:9",
      "zero 1:5",
    ]);
  });
});

describe("T-CONF-11: no-new-privileges", () => {
  test("takes the power from setuid programs, which have it without", async () => {
    const program = await buildProgram("identity");
    const host = { Binds: [`${program}:/p:ro`, "setuid-programs:/v"] };
    await out("cp /p/identity /v/id && chmod 4755 /v/id", host);
    const user = { User: "1000" };
    expect(await out("/v/id", host, user)).toBe("1000 0");
    expect(await out("/v/id", { ...host, SecurityOpt: ["no-new-privileges:true"] }, user)).toBe("1000 1000");
    await engine.docker.getVolume("setuid-programs").remove();
  });
});

describe("T-CONF-12: limits of the process", () => {
  test("do not come from the shell that started the engine", async () => {
    const odd = new EngineLimits(engine.pid);
    odd.set("nofile", "700:700");
    try {
      expect(await out("ulimit -Sn; ulimit -u")).toMatch(/^1024\n(\d+|unlimited)$/);
    } finally {
      odd.restore();
    }
  });
});

/** The engine's own limits, changed for a while. */
class EngineLimits {
  readonly #pid: number;
  #before: string | undefined;
  constructor(pid: number) {
    this.#pid = pid;
  }
  set(name: string, value: string): void {
    this.#before = execFileSync("prlimit", ["-p", String(this.#pid), `--${name}`, "-o", "SOFT,HARD", "--noheadings"], {
      encoding: "utf8",
    });
    const soft = value.split(":")[0] ?? "";
    execFileSync("prlimit", ["-p", String(this.#pid), `--${name}=${soft}:`]);
  }
  restore(): void {
    const soft = this.#before?.trim().split(/\s+/)[0] ?? "";
    execFileSync("prlimit", ["-p", String(this.#pid), `--nofile=${soft}:`]);
  }
}

describe("T-CONF-15: the engine's directories", () => {
  test("show nothing to another user, and its socket refuses him", async () => {
    chmodSync(engine.root, 0o755);
    try {
      const asUser = { uid: 1000, gid: 1000, encoding: "utf8" } as const;
      const found = spawnSync("find", [engine.dataRoot, engine.runRoot, "-mindepth", "1"], asUser);
      expect(found.stdout).toBe("");
      const asked = spawnSync("curl", ["-s", "-S", "--unix-socket", engine.socket, "http://x/_ping"], asUser);
      expect(`${asked.status} ${asked.stderr}`).toMatch(/^7 .*(Permission denied|ould not connect|ouldn't connect)/);
    } finally {
      chmodSync(engine.root, 0o700);
    }
  });
});

describe("E-06: a terminal", () => {
  test("is a pseudo-terminal of the container's own, at /dev/console too", async () => {
    const id = await engine.run(
      ["sh", "-c", "stat -c %t /dev/console; tty; echo /dev/pts/*; sleep 1000"],
      {},
      { Tty: true },
    );
    const container = engine.docker.getContainer(id);
    await until(async () => (await container.logs({ stdout: true })).toString().includes("ptmx"));
    expect((await container.logs({ stdout: true })).toString().replaceAll("\r", "")).toBe(
      "88\n/dev/pts/0\n/dev/pts/0 /dev/pts/ptmx\n",
    );
    await container.remove({ force: true });
  });
});

describe("E-30: a user number", () => {
  const refused = [
    "-1",
    "2147483648",
    "4294967295",
    "4294967296",
    "1e3",
    "0x0",
    " 0",
    "0 ",
    "1000000000000000000000000000000",
    "+0",
  ];
  test.each(refused)("of %j is refused, and is never root", async (user) => {
    const attempt = out("id -u", {}, { User: user });
    await expect(attempt).rejects.toThrow(/range 0-2147483647|unable to find user|no matching entries/);
  });
  test.each([
    ["2147483647", "2147483647"],
    ["007", "7"],
    ["1000:1000", "1000"],
  ])("of %j is %s", async (user, uid) => {
    expect(await out("id -u", {}, { User: user })).toBe(uid);
  });
  test.each(["0:-1", "0:4294967296", "1000:nosuchgroup"])("with a group of %j is refused", async (user) => {
    await expect(out("id", {}, { User: user })).rejects.toThrow(/range 0-2147483647|unable to find group/);
  });
});

describe("E-31: groups", () => {
  test.each<[string, readonly string[], string]>([
    ["app", [], "1000 4000"],
    ["app:app", [], "1000"],
    ["1000", [], "1000 4000"],
    ["1000:1000", [], "1000"],
    ["1234", [], "0"],
    ["1234:55", [], "55"],
    ["1000:1000", ["4000", "77"], "77 1000 4000"],
    ["", [], "0"],
  ])("of user %j with group_add %j are those", async (user, add, expected) => {
    const extra = await out("sed -n 's/^extra:x:\\([0-9]*\\):.*/\\1/p' /etc/group");
    const ids = (await out("id -G", { GroupAdd: add }, { User: user })).split(" ").map(Number);
    const wanted = expected
      .split(" ")
      .map((id) => (id === "4000" && !add.includes("4000") ? Number(extra) : Number(id)));
    expect(ids.toSorted((a, b) => a - b)).toEqual(wanted.toSorted((a, b) => a - b));
  });
});
