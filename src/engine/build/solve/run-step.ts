/** RUN: a container over the files so far, with the mounts of the step; what it changes is the layer. */
import { randomBytes } from "node:crypto";
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  existsSync,
  mkdirSync,
  openSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { TscomposeError } from "../../../errors.ts";
import {
  O_DIRECTORY,
  O_PATH,
  openat2,
  RESOLVE_IN_ROOT,
  RESOLVE_NO_MAGICLINKS,
  syscallErrno,
} from "../../../host/libc.ts";
import { formatPlatform, hostPlatform } from "../../images/platform.ts";
import type { Platform } from "../../images/platform.ts";
import type { ResolvedMount } from "../../containers/record.ts";
import { copyEntry } from "../files/copy-tree.ts";
import { shown, toBytes, Tree } from "../files/tree.ts";
import type { RunStep, StepMount, StepSecret, StepSsh } from "../plan/steps.ts";
import type { BuildScope } from "./build-context.ts";
import type { LeasedCache } from "./cache-mounts.ts";
import { rememberStubs } from "./mount-stubs.ts";
import { runContainer } from "./run-container.ts";
import { forwardAgent } from "./ssh-forward.ts";
import type { SshForward } from "./ssh-forward.ts";

/** Where the files of a mount's source are on this machine. */
export type SourceDirectory = (mount: StepMount) => string;

interface Prepared {
  readonly mounts: ResolvedMount[];
  readonly env: string[];
  readonly leases: LeasedCache[];
  readonly forwards: SshForward[];
  /** Files with secrets, and sockets: gone as soon as the step has ended. */
  readonly secretDir: string;
}

function bind(source: string, target: string, access: "ro" | "rw"): ResolvedMount {
  return {
    Type: "bind",
    Source: source,
    Destination: target,
    Mode: "",
    RW: access === "rw",
    Propagation: "rprivate",
    anonymous: false,
    options: ["rbind", "rprivate", access, "nosuid", "nodev"],
    copyUp: false,
  };
}

/** A path below a directory, with its symlinks resolved within it.
 *  @throws build/failed where there is nothing */
function pathBelow(directory: string, path: string, mount: StepMount): string {
  const tree = new Tree(directory);
  try {
    const real = tree.resolve(toBytes(path));
    if (tree.stat(real) === undefined)
      throw new TscomposeError("build/failed", `cannot mount ${mount.target}: "${path}" is not in its source`);
    if (Buffer.from(real, "latin1").toString("utf8") !== shown(real) || shown(real).includes("\ufffd"))
      throw new TscomposeError("build/failed", `cannot mount ${mount.target}: the name of its source is no text`);
    return join(directory, shown(real));
  } finally {
    tree.close();
  }
}

async function cacheMount(
  scope: BuildScope,
  mount: StepMount,
  at: { readonly sourceOf: SourceDirectory; readonly leases: Pick<LeasedCache, "release">[] },
): Promise<ResolvedMount> {
  const cache = mount.cache;
  if (cache === undefined) throw new Error("a cache mount without a cache");
  const lease = await scope.cacheMounts.lease(cache, { mode: 0o755 });
  at.leases.push(lease);
  if (lease.fresh && mount.source.kind !== "scratch") await fill(at.sourceOf(mount), mount.sourcePath, lease.directory);
  const root = mount.source.kind === "scratch" ? subdirectory(lease.directory, mount, at.leases) : lease.directory;
  return bind(root, mount.target, mount.readonly ? "ro" : "rw");
}

/** What `source=` names within a cache, by a descriptor: another step that has the same cache may put a symlink in its place at any
 *  moment, which the runtime would follow.
 *  @throws build/failed where there is nothing */
function subdirectory(directory: string, mount: StepMount, leases: Pick<LeasedCache, "release">[]): string {
  const path = mount.sourcePath.replace(/^\/+/, "");
  if (path === "") return directory;
  const root = openSync(directory, constants.O_RDONLY | O_DIRECTORY);
  try {
    const fd = openat2(root, path, { flags: O_PATH, resolve: RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS });
    leases.push({ release: () => closeSync(fd) });
    return `/proc/${process.pid}/fd/${fd}`;
  } catch (error) {
    if (syscallErrno(error) === undefined) throw error;
    throw new TscomposeError(
      "build/failed",
      `cannot mount ${mount.target}: "${mount.sourcePath}" is not in its source`,
      {
        cause: error,
      },
    );
  } finally {
    closeSync(root);
  }
}

async function fill(source: string, path: string, directory: string): Promise<void> {
  const trees = { source: new Tree(source), target: new Tree(directory) };
  try {
    const options = { owner: undefined, mode: undefined, include: [], exclude: [], time: undefined };
    await copyEntry(trees, { source: toBytes(path.replace(/^\/+/, "")), destination: "/" }, options);
  } finally {
    trees.source.close();
    trees.target.close();
  }
}

function bindMount(scope: BuildScope, mount: StepMount, sourceOf: SourceDirectory): ResolvedMount {
  const source = pathBelow(sourceOf(mount), mount.sourcePath, mount);
  if (mount.readonly) return bind(source, mount.target, "ro");
  if (!statSync(source).isDirectory())
    throw new TscomposeError("request/unsupported", `cannot mount the file ${mount.sourcePath} for writing`, {
      hint: "mount its directory, or leave rw out",
    });
  return bind(scope.workspace.mountScratchOver(source), mount.target, "rw");
}

function tmpfsMount(mount: StepMount): ResolvedMount {
  const size = mount.sizeBytes === undefined ? [] : [`size=${mount.sizeBytes}`];
  return {
    ...bind("", mount.target, "rw"),
    Type: "tmpfs",
    options: ["nosuid", "nodev", "mode=1777", ...size, ...(mount.readonly ? ["ro"] : [])],
  };
}

function addSecret(scope: BuildScope, secret: StepSecret, prepared: Prepared): void {
  const value = scope.secrets.get(secret.id);
  if (value === undefined) {
    if (!secret.required) return;
    throw new TscomposeError("build/failed", `secret ${secret.id}: not found`, {
      hint: "give the secret to the build, or take required out of the mount",
    });
  }
  if (secret.env !== undefined) prepared.env.push(`${secret.env}=${value.toString("utf8")}`);
  if (secret.target === undefined) return;
  mkdirSync(prepared.secretDir, { recursive: true, mode: 0o700 });
  const path = join(prepared.secretDir, String(prepared.mounts.length));
  writeFileSync(path, value, { mode: 0o600 });
  chownSync(path, secret.uid, secret.gid);
  chmodSync(path, secret.mode & 0o7777);
  prepared.mounts.push(bind(path, secret.target, "ro"));
}

async function addSsh(
  scope: BuildScope,
  ssh: StepSsh,
  { prepared, index }: { readonly prepared: Prepared; readonly index: number },
): Promise<void> {
  const agent = scope.ssh.get(ssh.id);
  if (agent === undefined) {
    if (!ssh.required) return;
    throw new TscomposeError("build/failed", `unset ssh forward key ${ssh.id}`, {
      hint: `give the build an SSH agent: --ssh ${ssh.id}, or ssh: [${ssh.id}] in the build section`,
    });
  }
  const target = ssh.target ?? `/run/buildkit/ssh_agent.${index}`;
  const path = join(prepared.secretDir, `agent.${index}`);
  prepared.forwards.push(await forwardAgent(agent, path, ssh));
  prepared.mounts.push(bind(path, target, "rw"));
  if (index === 0) prepared.env.push(`SSH_AUTH_SOCK=${target}`);
}

async function prepare(
  scope: BuildScope,
  step: RunStep,
  at: { readonly sourceOf: SourceDirectory; readonly id: string },
): Promise<Prepared> {
  const secretDir = join(scope.roots.runRoot, "secrets", at.id);
  const prepared: Prepared = { mounts: [], env: [], leases: [], forwards: [], secretDir };
  try {
    for (const mount of step.mounts) {
      if (mount.type === "tmpfs") prepared.mounts.push(tmpfsMount(mount));
      else if (mount.type === "cache")
        prepared.mounts.push(await cacheMount(scope, mount, { ...at, leases: prepared.leases }));
      else prepared.mounts.push(bindMount(scope, mount, at.sourceOf));
    }
    for (const secret of step.secrets) addSecret(scope, secret, prepared);
    for (const [index, ssh] of step.ssh.entries()) await addSsh(scope, ssh, { prepared, index });
    if (step.script !== undefined) prepared.mounts.push(scriptMount(scope, step.script));
    return prepared;
  } catch (error) {
    await cleanUp(prepared);
    throw error;
  }
}

function scriptMount(scope: BuildScope, script: NonNullable<RunStep["script"]>): ResolvedMount {
  const directory = scope.workspace.newDirectory("script");
  if (script.name.includes("/") || script.name === "." || script.name === "..")
    throw new TscomposeError("build/invalid", `a heredoc cannot be a file called ${JSON.stringify(script.name)}`);
  const path = join(directory, script.name);
  writeFileSync(path, script.content);
  chmodSync(path, 0o755);
  return bind(directory, "/dev/pipes", "ro");
}

async function cleanUp(prepared: Prepared): Promise<void> {
  for (const lease of prepared.leases) lease.release();
  for (const forward of prepared.forwards) forward.close();
  await rm(prepared.secretDir, { recursive: true, force: true });
}

function checkEntitlements(scope: BuildScope, step: RunStep): void {
  const wanted = [
    ...(step.network === "host" && !scope.allow.networkHost ? ["network.host"] : []),
    ...(step.security === "insecure" && !scope.allow.insecure ? ["security.insecure"] : []),
  ];
  if (wanted.length > 0)
    throw new TscomposeError("build/failed", `${wanted.join(", ")} is not allowed`, {
      hint: `ask for the entitlement ${wanted.join(", ")} if you trust the Dockerfile`,
    });
}

/** Kernels run programs of these machines besides their own. */
const relatives: Readonly<Record<string, readonly string[]>> = { amd64: ["386"], arm64: ["arm"] };

/** @throws build/failed where programs of the platform cannot run here */
function checkPlatform(scope: BuildScope, platform: Platform): void {
  const own = hostPlatform(scope.engine.host.arch);
  const { architecture } = platform;
  if (architecture === own.architecture || relatives[own.architecture]?.includes(architecture) === true) return;
  const interpreter = interpreters[architecture] ?? architecture;
  if (existsSync(`/proc/sys/fs/binfmt_misc/qemu-${interpreter}`)) return;
  throw new TscomposeError(
    "build/failed",
    `programs for ${formatPlatform(platform)} cannot run on this machine, which is ${formatPlatform(own)}`,
    { hint: "install qemu-user-static (Debian), which registers qemu with binfmt_misc, or build on such a machine" },
  );
}

/** What qemu calls them. */
const interpreters: Readonly<Record<string, string>> = { arm64: "aarch64", amd64: "x86_64", "386": "i386" };

/** @throws build/failed with `exitCode` in its details for a program that ends with another code than 0; aborted */
export async function runRun(
  scope: BuildScope,
  step: RunStep,
  at: { readonly rootfs: string; readonly sourceOf: SourceDirectory; readonly onOutput: (data: Buffer) => void },
): Promise<void> {
  checkEntitlements(scope, step);
  checkPlatform(scope, step.platform);
  const id = randomBytes(32).toString("hex");
  const prepared = await prepare(scope, step, { sourceOf: at.sourceOf, id });
  try {
    const removeStubs = rememberStubs(
      at.rootfs,
      prepared.mounts.map(({ Destination }) => Destination),
    );
    const code = await runContainer(scope.engine, scope.roots, {
      id,
      rootfs: at.rootfs,
      args: step.args,
      env: [...step.env, ...scope.proxies, ...prepared.env],
      cwd: step.cwd,
      user: step.user,
      network: step.network,
      networks: scope.networks,
      privileged: step.security === "insecure",
      limits: scope.limits,
      mounts: prepared.mounts,
      onOutput: at.onOutput,
      signal: scope.signal,
    });
    removeStubs();
    if (code === 0) return;
    throw new TscomposeError("build/failed", `The command '${step.args.join(" ")}' returned a non-zero code: ${code}`, {
      details: { exitCode: code },
    });
  } finally {
    await cleanUp(prepared);
  }
}
