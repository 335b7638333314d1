import { existsSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { decideCapabilities } from "../../../src/engine/runtime/capabilities.ts";
import { defaultSeccomp } from "../../../src/engine/runtime/seccomp.ts";
import type { HostConfig } from "../../../src/engine/types.ts";
import { EngineProcess } from "../../support/engine-process.ts";
import { buildProgram } from "../../support/programs.ts";

/** T-CONF-9 and T-CONF-10: every system call number of the three ABIs of amd64, called inside a container. What the filter stops
 *  is what answers EPERM (or ENOSYS) with it and something else without it, to a process that has every capability: so no EPERM
 *  of the kernel's own is taken for one of the filter's. Source of the lists: security.md 1.7. */

const words = (text: string): readonly string[] => text.trim().split(/\s+/);
/** Never, whatever the capabilities. */
const neverAllowed = words(`
  uselib ustat sysfs pivot_root _sysctl swapon swapoff create_module get_kernel_syms query_module nfsservctl getpmsg putpmsg
  afs_syscall tuxcall security vserver kexec_load kexec_file_load add_key request_key keyctl migrate_pages move_pages
  userfaultfd io_uring_setup io_uring_enter io_uring_register
`);
/** Only with a capability that is not in the default set. */
const needCapability = words(`
  mount umount2 unshare setns mount_setattr open_tree move_mount fsopen fsconfig fsmount fspick bpf perf_event_open syslog
  quotactl quotactl_fd lookup_dcookie fanotify_init sethostname setdomainname reboot init_module finit_module delete_module acct
  kcmp pidfd_getfd process_madvise iopl ioperm settimeofday clock_settime vhangup mbind get_mempolicy set_mempolicy
  set_mempolicy_home_node open_by_handle_at
`);
/** The same calls by the names that only i386 has, and calls that only i386 has. */
const only32 = words(`
  umount stime clock_settime64 vm86 vm86old bdflush idle profil ulimit prof lock mpx break stty gtty ftime oldolduname olduname
  oldfstat oldlstat oldstat oldselect readdir ssetmask sgetmask sigaction signal sigpending sigsuspend nice
`);

const EPERM = 1;
const ENOSYS = 38;
type Results = ReadonlyMap<string, string>;

let engine: EngineProcess;
let probe: string;
/** Of the same filter as the default one, to a process that holds every capability. */
let filtered: Results;
let free: Results;
let byDefault: Results;

beforeAll(async () => {
  engine = await EngineProcess.start();
  probe = await buildProgram("syscall-probe");
  const held = BigInt(`0x${/^CapBnd:\s*(\w+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1]}`);
  const defaults = decideCapabilities({ privileged: false, add: [], drop: [], available: held });
  const profile = JSON.stringify(defaultSeccomp(defaults, process.arch));
  [filtered, free, byDefault] = await Promise.all([
    results({ CapAdd: ["ALL"], SecurityOpt: [`seccomp=${profile}`] }),
    results({ CapAdd: ["ALL"], SecurityOpt: ["seccomp=unconfined"] }),
    results({}),
  ]);
}, 120_000);
afterAll(async () => {
  await engine.dispose();
});

/** `<abi> <number>` -> errno's number, 0, or "-" for a call that does not return. */
async function results(host: HostConfig): Promise<Results> {
  const { out, code } = await engine.finish(["/probe/syscall-probe"], { ...host, Binds: [`${probe}:/probe:ro`] });
  expect(code).toBe(0);
  return new Map(
    out
      .trim()
      .split("\n")
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]),
  );
}

/** Names by number, from the C headers. */
function callNames(header: string): ReadonlyMap<number, string> {
  const path = ["/usr/include/x86_64-linux-gnu/asm", "/usr/include/asm"]
    .map((dir) => `${dir}/${header}`)
    .find(existsSync);
  const text = readFileSync(path ?? header, "latin1");
  return new Map(
    [...text.matchAll(/^#define __NR_(\w+) (\d+)$/gm)].map(([, name = "", number]) => [Number(number), name]),
  );
}

/** The calls of an ABI that the filter answers with `errno`. */
function stopped(abi: number, errno: number): readonly number[] {
  return [...filtered].flatMap(([key, result]) => {
    const [of, number] = key.split(" ").map(Number);
    return of === abi && result === String(errno) && free.get(key) !== String(errno) ? [number ?? 0] : [];
  });
}

const known64 = callNames("unistd_64.h");
const known32 = callNames("unistd_32.h");
const named = (numbers: readonly number[], names: ReadonlyMap<number, string>): readonly string[] =>
  numbers.flatMap((number) => names.get(number) ?? []).toSorted();
/** As the kernel that the test runs on has them: what it lacks, it answers with ENOSYS itself, which shows as the filter's EPERM. */
const present = (names: readonly string[], known: ReadonlyMap<number, string>): readonly string[] =>
  names.filter((name) => [...known.values()].includes(name)).toSorted();

describe("with the default filter", () => {
  test("a process may call on amd64 what the list says, and nothing else", () => {
    expect(named(stopped(64, EPERM), known64)).toEqual(present([...neverAllowed, ...needCapability], known64));
  });
  test("clone3 is not there, so that the C library uses clone", () => {
    expect(named(stopped(64, ENOSYS), known64)).toEqual(["clone3"]);
  });
  test("numbers that are newer than the profile are refused", () => {
    const last = Math.max(...known64.keys());
    const newer = Array.from({ length: 479 - last - 20 }, (_, index) => last + 21 + index);
    expect(newer.filter((number) => filtered.get(`64 ${number}`) !== String(EPERM))).toEqual([]);
    expect(newer.length).toBeGreaterThan(5);
  });
  test("the same holds for 32-bit calls", () => {
    const expected = present([...neverAllowed, ...needCapability, ...only32], known32);
    expect(named(stopped(32, EPERM), known32)).toEqual(expected);
    expect(named(stopped(32, ENOSYS), known32)).toEqual(["clone3"]);
  });
  test("and for x32 calls", () => {
    // Numbers below 512 are those of amd64, but for the ones whose structures differ.
    const names = named(
      stopped(320, EPERM).filter((number) => number < 512),
      known64,
    );
    for (const name of [
      "kexec_file_load",
      "mount",
      "umount2",
      "add_key",
      "keyctl",
      "bpf",
      "unshare",
      "setns",
      "reboot",
    ]) {
      expect(names).toContain(name);
    }
    for (const name of ["read", "write", "openat", "close", "getpid"]) expect(names).not.toContain(name);
  });
  test("a container without further wishes has the very same filter", () => {
    const differing = [...filtered].filter(([key, result]) => {
      const stoppedThere = result === String(EPERM) && free.get(key) !== String(EPERM);
      return stoppedThere && byDefault.get(key) !== String(EPERM);
    });
    expect(differing).toEqual([]);
    const opened = [...byDefault].filter(
      ([key, result]) => filtered.get(key) !== String(EPERM) && result === String(EPERM),
    );
    // Here it is the missing capability that the kernel asks for, not the filter.
    expect(
      named(
        opened.map(([key]) => Number(key.split(" ")[1])),
        known64,
      ).length,
    ).toBeLessThan(25);
  });
  test("no namespace can be made by clone", () => {
    const bits = [17, 25, 26, 27, 28, 29, 30];
    expect(bits.map((bit) => filtered.get(`clone ${bit}`))).toEqual(bits.map(() => String(EPERM)));
    expect(bits.map((bit) => free.get(`clone ${bit}`))).not.toContain(String(EPERM));
  });
  test("sockets of AF_ALG and AF_VSOCK cannot be made, those of AF_UNIX and AF_INET can", () => {
    for (const family of [38, 40]) {
      expect(byDefault.get(`socket ${family}`)).toBe(String(EPERM));
      expect(free.get(`socket ${family}`)).not.toBe(String(EPERM));
    }
    for (const family of [1, 2]) expect(byDefault.get(`socket ${family}`)).toBe("0");
  });
});
