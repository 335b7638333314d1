/** Root file systems: the image's layers, the engine's own layer over them, what the container changes on top.
 *  The engine's layer has real /dev, /proc, /sys and the files that get mounted over, so that no image can put a symlink there and
 *  lead a mount of the runtime to the host (security.md 0.1 A and B, 1.9; CVE-2026-41579). */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { errnoOf } from "../../errors.ts";
import { ownerOutside } from "../../host/id-map.ts";
import { mountOverlay, unmountOverlay, unmountOverlayLater } from "../../host/overlay.ts";
import type { ImageStore } from "../images/types.ts";
import type { Container } from "./container.ts";
import { keepEtc } from "./etc-directory.ts";
import { limitStorage } from "./storage-size.ts";
import type { UserNamespaces } from "./user-namespaces.ts";

interface Layers {
  /** Highest first. */
  readonly lower: readonly string[];
  readonly upper: string;
  readonly work: string;
}

export class RootFilesystems {
  readonly #images: ImageStore;
  readonly #userNamespaces: UserNamespaces;
  readonly #initLayer: string;
  /** Of builds: as the engine's own layer, with nothing in it that steps of BuildKit do not see. */
  readonly buildLayer: string;
  /** Users of the mount of a container: its process, and whoever copies files. */
  readonly #users = new Map<string, number>();

  constructor(options: {
    readonly dataRoot: string;
    readonly images: ImageStore;
    readonly userNamespaces: UserNamespaces;
  }) {
    this.#images = options.images;
    this.#userNamespaces = options.userNamespaces;
    this.#initLayer = join(options.dataRoot, "init-layer-1");
    this.buildLayer = join(options.dataRoot, "build-layer-1");
    makeInitLayer(this.#initLayer, containerFiles, { "etc/mtab": "/proc/mounts" });
    makeInitLayer(this.buildLayer, buildFiles);
  }

  /** Directories for a new container. @throws host/unsupported for a limit of their size that the file system cannot have */
  create(container: Container): void {
    const { paths, record } = container;
    for (const path of [paths.upper, paths.work, paths.root]) mkdirSync(path, { mode: 0o755 });
    chmodSync(paths.upper, 0o755); // it is the container's "/", whatever the umask
    const { uid, gid } = ownerOutside(record.userNamespace, { uid: 0, gid: 0 });
    if (record.userNamespace !== undefined) chownSync(paths.upper, uid, gid);
    limitStorage(container);
    const { layerDirs } = this.#images.resolve(record.imageId);
    keepEtc(paths.upper, layerDirs.toReversed(), (owner) => ownerOutside(record.userNamespace, owner));
  }

  /** Where it is mounted while in use. */
  pathOf({ id, paths, record }: Container): string {
    return record.userNamespace === undefined ? paths.root : this.#userNamespaces.rootPath(id);
  }

  /** Mounts it if it is not yet. Every call needs its `release`. @returns where */
  async acquire(container: Container): Promise<string> {
    const path = this.pathOf(container);
    const map = container.record.userNamespace;
    if (map !== undefined) {
      await this.#userNamespaces.prepare(map);
      mkdirSync(path, { recursive: true, mode: 0o711 });
    }
    const users = this.#users.get(container.id) ?? 0;
    if (users === 0) mountOverlay(this.#layersAsSeen(container), path);
    this.#users.set(container.id, users + 1);
    return path;
  }

  release(container: Container): void {
    if (this.#isLastUser(container)) unmountOverlay(this.pathOf(container));
  }

  /** Of a container that is removed. */
  forget(container: Container): void {
    if (container.record.userNamespace === undefined) return;
    try {
      rmdirSync(this.pathOf(container));
    } catch (error) {
      if (errnoOf(error) !== "ENOENT") throw error;
    }
  }

  /** As `release`, off the main thread. @returns what went wrong */
  async releaseLater(container: Container): Promise<readonly unknown[]> {
    if (!this.#isLastUser(container)) return [];
    try {
      await unmountOverlayLater(this.pathOf(container));
      return [];
    } catch (error) {
      return [error];
    }
  }

  #isLastUser(container: Container): boolean {
    const users = (this.#users.get(container.id) ?? 1) - 1;
    if (users > 0) this.#users.set(container.id, users);
    else this.#users.delete(container.id);
    return users <= 0;
  }

  /** A path through which the container's files can be reached now, with its volumes while it runs. After an engine restart the
   *  mount is in another mount namespace: the process itself leads there. */
  async using<T>(container: Container, work: (root: string) => T | Promise<T>): Promise<T> {
    const { process } = container.state;
    if (container.alive && process !== undefined) return work(`/proc/${process.pid}/root`);
    const root = await this.acquire(container);
    try {
      return await work(root);
    } finally {
      this.release(container);
    }
  }

  /** For `inspect`: lower directories, highest first. */
  lowerDirs(container: Container): readonly string[] {
    return this.#layers(container).lower;
  }

  /** As the container's user namespace sees their owners. */
  async lowerDirsAsSeen(container: Container): Promise<readonly string[]> {
    const map = container.record.userNamespace;
    if (map !== undefined) await this.#userNamespaces.prepare(map);
    return this.#layersAsSeen(container).lower;
  }

  #layersAsSeen(container: Container): Layers {
    const layers = this.#layers(container);
    const shifted = (path: string): string => this.#userNamespaces.shifted(container.record.userNamespace, path);
    return { ...layers, lower: layers.lower.map(shifted) };
  }

  #layers(container: Container): Layers {
    const { layerDirs } = this.#images.resolve(container.record.imageId);
    return {
      lower: [this.#initLayer, ...layerDirs.toReversed()],
      upper: container.paths.upper,
      work: container.paths.work,
    };
  }
}

const directories = ["dev", "dev/pts", "dev/shm", "proc", "sys", "etc"];
const buildFiles = ["etc/hosts", "etc/resolv.conf", "dev/console"];
const containerFiles = [...buildFiles, ".dockerenv", "etc/hostname"];

/** The same for every container, and never written to: it is a lower layer. */
function makeInitLayer(path: string, files: readonly string[], links: Readonly<Record<string, string>> = {}): void {
  if (existsSync(path)) return;
  const staging = `${path}.tmp`;
  rmSync(staging, { recursive: true, force: true });
  for (const directory of [".", ...directories]) {
    mkdirSync(join(staging, directory), { recursive: true });
    chmodSync(join(staging, directory), 0o755);
  }
  for (const file of files) {
    writeFileSync(join(staging, file), "");
    chmodSync(join(staging, file), 0o755);
  }
  for (const [name, target] of Object.entries(links)) symlinkSync(target, join(staging, name));
  renameSync(staging, path);
}
