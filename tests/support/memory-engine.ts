/** A small `Engine` that keeps everything in memory, for tests of the API and its clients. Containers do what the first word
 *  of their command says: `echo WORDS` prints and ends, `fail CODE` prints on stderr and ends, `cat` copies stdin until its
 *  end, anything else runs until it is stopped. */
import { randomBytes } from "node:crypto";
import type {
  Engine,
  ExecService,
  ContainerService,
  ImageService,
  NetworkService,
  OutputChunk,
  SystemService,
  VolumeService,
  WaitResult,
} from "../../src/engine/engine.ts";
import type {
  ContainerCreateBody,
  ContainerInspect,
  ContainerStatus,
  ContainerSummary,
  EventMessage,
  ExecConfig,
  Filters,
  ImageInspect,
  NetworkInspect,
  VolumeInspect,
} from "../../src/engine/types.ts";
import { TscomposeError } from "../../src/errors.ts";
import { MemoryProcess, Signal } from "./memory-process.ts";

const never = "0001-01-01T00:00:00Z";
const newId = (): string => randomBytes(32).toString("hex");

interface MemoryContainer {
  readonly id: string;
  name: string;
  readonly body: ContainerCreateBody;
  process: MemoryProcess;
  status: ContainerStatus;
  startedAt: string;
  readonly changed: Signal;
  removed: boolean;
  size: readonly [number, number] | undefined;
}

export interface MemoryEngine extends Engine {
  readonly records: ReadonlyMap<string, MemoryContainer>;
  /** What the last `create` got. */
  lastBody: ContainerCreateBody | undefined;
  lastFilters: Filters | undefined;
  readonly uploads: Buffer[];
  execProcess(id: string): MemoryProcess | undefined;
  emit(message: EventMessage): void;
  /** Followers of logs and events that have not ended. */
  followers: number;
}

const unsupported = (what: string): never => {
  throw new TscomposeError("request/unsupported", `${what} is not part of the memory engine`);
};

export function createMemoryEngine(imageNames: readonly string[] = ["busybox:latest"]): MemoryEngine {
  const records = new Map<string, MemoryContainer>();
  const networks = new Map<string, NetworkInspect>();
  const volumes = new Map<string, VolumeInspect>();
  const images = new Set(imageNames);
  const execs = new Map<
    string,
    { readonly config: ExecConfig; readonly container: string; process: MemoryProcess | undefined }
  >();
  const listeners = new Set<(message: EventMessage) => void>();
  const uploads: Buffer[] = [];

  const find = (ref: string): MemoryContainer => {
    const name = ref.replace(/^\//, "");
    const exact = records.get(ref) ?? [...records.values()].find((record) => record.name === name);
    if (exact !== undefined) return exact;
    const prefixed = [...records.values()].filter((record) => ref !== "" && record.id.startsWith(ref));
    if (prefixed.length > 1) {
      throw new TscomposeError("container/ambiguous", `multiple IDs found with provided prefix: ${ref}`);
    }
    return prefixed[0] ?? missing("container/not-found", `no such container: ${ref}`);
  };
  const missing = (code: "container/not-found" | "exec/not-found", message: string): never => {
    throw new TscomposeError(code, message);
  };
  const end = (record: MemoryContainer, code: number): void => {
    if (record.status !== "running") return;
    record.status = "exited";
    record.process.exit(code);
    record.changed.fire();
    if (record.body.HostConfig?.AutoRemove === true) drop(record);
  };
  const drop = (record: MemoryContainer): void => {
    records.delete(record.id);
    record.removed = true;
    record.changed.fire();
  };
  const endpointsOf = ({ body }: MemoryContainer): Endpoints =>
    Object.fromEntries(
      Object.keys(body.NetworkingConfig?.EndpointsConfig ?? {}).map((name) => {
        const network = [...networks.values()].find((one) => one.Name === name);
        return [name, { NetworkID: network?.Id ?? "" }];
      }),
    );
  const newProcess = (body: ContainerCreateBody): MemoryProcess =>
    new MemoryProcess({ tty: body.Tty === true, stdin: body.OpenStdin === true });

  const containers: ContainerService = {
    create: (name, body) => {
      engine.lastBody = body;
      if (!images.has(body.Image ?? "") && !images.has(`${body.Image ?? ""}:latest`)) {
        throw new TscomposeError("image/not-found", `no such image: ${body.Image ?? ""}`);
      }
      const used = [...records.values()].find((record) => record.name === name);
      if (used !== undefined) {
        throw new TscomposeError(
          "container/name-in-use",
          `conflict. The container name "/${name}" is already in use by container "${used.id}"`,
        );
      }
      const id = newId();
      records.set(id, {
        id,
        name: name ?? `memory_${id.slice(0, 6)}`,
        body,
        process: newProcess(body),
        status: "created",
        startedAt: never,
        changed: new Signal(),
        removed: false,
        size: undefined,
      });
      return Promise.resolve({ Id: id, Warnings: [] });
    },
    list: ({ all, filters }) => {
      engine.lastFilters = filters;
      return Promise.resolve(
        [...records.values()]
          .filter((record) => all || record.status === "running")
          .map((record) => toSummary(record, endpointsOf(record))),
      );
    },
    inspect: (ref) => Promise.resolve().then(() => toInspect(find(ref), endpointsOf(find(ref)))),
    start: (ref) => {
      const record = find(ref);
      if (record.status === "running") throw new TscomposeError("container/not-modified", "it runs already");
      if (record.status !== "created") record.process = newProcess(record.body);
      record.status = "running";
      record.startedAt = new Date().toISOString();
      record.process.run(record.body.Cmd ?? []);
      record.changed.fire();
      const poll = async (): Promise<void> => {
        while (record.process.exitCode === undefined) await record.process.changed.wait();
        end(record, record.process.exitCode);
      };
      void poll();
      return Promise.resolve();
    },
    stop: (ref) => {
      const record = find(ref);
      if (record.status !== "running") throw new TscomposeError("container/not-modified", "it does not run");
      end(record, 143);
      return Promise.resolve(undefined);
    },
    restart: async (ref, options) => {
      if (find(ref).status === "running") await containers.stop(ref, options);
      await containers.start(ref);
      return undefined;
    },
    kill: (ref, signal) => {
      const record = find(ref);
      if (record.status !== "running") {
        throw new TscomposeError("container/wrong-status", `container ${record.id} is not running`);
      }
      if (signal === "NONSENSE") throw new TscomposeError("request/invalid", "invalid signal: NONSENSE");
      end(record, 137);
      return Promise.resolve();
    },
    pause: () => Promise.resolve(),
    unpause: () => Promise.resolve(),
    rename: (ref, name) => {
      find(ref).name = name;
      return Promise.resolve();
    },
    update: () => Promise.resolve({ Warnings: [] }),
    wait: (ref, condition) => {
      const record = find(ref);
      const result = async (): Promise<WaitResult> => {
        if (condition === "not-running" && record.status !== "running" && record.status !== "created") {
          return { StatusCode: record.process.exitCode ?? 0 };
        }
        if (condition === "not-running" && record.status === "created") return { StatusCode: 0 };
        const done = (): boolean =>
          condition === "removed" ? record.removed : record.removed || record.status === "exited";
        while (!done()) await record.changed.wait();
        return { StatusCode: record.process.exitCode ?? 0 };
      };
      return Promise.resolve({ result: result() });
    },
    remove: (ref, { force }) => {
      const record = find(ref);
      if (record.status === "running" && !force) {
        throw new TscomposeError(
          "container/wrong-status",
          `cannot remove container "/${record.name}": container is running: stop the container before removing or force remove`,
        );
      }
      end(record, 137);
      drop(record);
      return Promise.resolve();
    },
    logs: (ref, options, signal) => {
      const record = find(ref);
      const { process } = record;
      const chunks = async function* (): AsyncGenerator<OutputChunk, void, void> {
        engine.followers += 1;
        try {
          const wanted = (chunk: OutputChunk): boolean =>
            chunk.stream === "console" || (chunk.stream === "stdout" ? options.stdout : options.stderr);
          const start = options.tail === undefined ? 0 : Math.max(0, process.chunks.length - options.tail);
          for (let index = start; !signal.aborted;) {
            const chunk = process.chunks[index];
            index += 1;
            if (chunk !== undefined) {
              if (wanted(chunk)) yield chunk;
              continue;
            }
            index -= 1;
            if (!options.follow || process.exitCode !== undefined) return;
            await process.changed.wait(signal);
          }
        } finally {
          engine.followers -= 1;
        }
      };
      return Promise.resolve({ tty: process.tty, chunks: chunks() });
    },
    attach: (ref, options) => {
      const record = find(ref);
      if (options.detachKeys === "zz-q") {
        throw new TscomposeError("request/invalid", "Invalid detach keys (zz-q) provided");
      }
      return Promise.resolve(record.process.session(options.logs ? 0 : record.process.chunks.length));
    },
    resize: (ref, height, width) => {
      find(ref).size = [height, width];
      return Promise.resolve();
    },
    top: () => Promise.resolve({ Titles: ["PID", "CMD"], Processes: [["1", "sh"]] }),
    stats: (ref, { stream }, signal) => {
      const { id, name } = find(ref);
      const samples = async function* (): AsyncGenerator<object, void, void> {
        yield { id, name: `/${name}` };
        if (stream) await new Signal().wait(signal);
      };
      return Promise.resolve(samples());
    },
    changes: () => Promise.resolve([]),
    statPath: (ref, path) => {
      find(ref);
      return Promise.resolve({ name: path, size: 3, mode: 0o644, mtime: never, linkTarget: "" });
    },
    getArchive: async (ref, path) => ({ stat: await containers.statPath(ref, path), tar: once(Buffer.from("tar")) }),
    putArchive: async (ref, _path, tar) => {
      find(ref);
      for await (const chunk of tar) uploads.push(chunk);
    },
    commit: async () => unsupported("commit"),
    export: (ref) => {
      find(ref);
      return Promise.resolve(once(Buffer.from("tar")));
    },
    prune: (filters) => {
      engine.lastFilters = filters;
      return Promise.resolve({ ContainersDeleted: [], SpaceReclaimed: 0 });
    },
  };

  const exec: ExecService = {
    create: (ref, config) => {
      const record = find(ref);
      if (record.status !== "running") {
        throw new TscomposeError("container/wrong-status", `container ${record.id} is not running`);
      }
      const id = newId();
      execs.set(id, { config, container: record.id, process: undefined });
      return Promise.resolve({ Id: id });
    },
    start: (id, { detach, tty }) => {
      const record = execs.get(id) ?? missing("exec/not-found", `no such exec instance: ${id}`);
      const process = new MemoryProcess({ tty, stdin: true });
      record.process = process;
      const session = process.session(0);
      process.run(record.config.Cmd ?? []);
      return Promise.resolve(detach ? undefined : session);
    },
    resize: (id) => {
      if (!execs.has(id)) missing("exec/not-found", `no such exec instance: ${id}`);
      return Promise.resolve();
    },
    inspect: (id) => {
      const record = execs.get(id) ?? missing("exec/not-found", `no such exec instance: ${id}`);
      const { process, config } = record;
      const [entrypoint = "", ...rest] = config.Cmd ?? [];
      return Promise.resolve({
        ID: id,
        Running: process !== undefined && process.exitCode === undefined,
        ExitCode: process?.exitCode ?? null,
        ProcessConfig: { tty: config.Tty === true, entrypoint, arguments: rest, privileged: false, user: "" },
        OpenStdin: true,
        OpenStderr: true,
        OpenStdout: true,
        CanRemove: false,
        ContainerID: record.container,
        DetachKeys: "",
        Pid: 0,
      });
    },
  };

  const imageOf = (ref: string): ImageInspect => {
    const name = images.has(ref) ? ref : `${ref}:latest`;
    if (!images.has(name)) throw new TscomposeError("image/not-found", `no such image: ${name}`);
    return {
      Id: `sha256:${"0".repeat(64)}`,
      RepoTags: [name],
      RepoDigests: [],
      Parent: "",
      Comment: "",
      Created: never,
      Author: "",
      Config: {},
      Architecture: "amd64",
      Os: "linux",
      Size: 1,
      GraphDriver: { Name: "overlay2", Data: {} },
      RootFS: { Type: "layers", Layers: [] },
      Metadata: { LastTagTime: never },
    };
  };
  const imageService: ImageService = {
    logIn: () => Promise.resolve({ Status: "Login Succeeded", IdentityToken: "" }),
    distribution: ({ reference }) =>
      Promise.reject(new TscomposeError("image/not-found", `manifest for ${reference} not found`)),
    search: () => Promise.resolve([]),
    list: () =>
      Promise.resolve(
        [...images].map((name) => ({
          Id: `sha256:${"0".repeat(64)}`,
          ParentId: "",
          RepoTags: [name],
          RepoDigests: [],
          Created: 0,
          Size: 1,
          SharedSize: -1,
          Labels: null,
          Containers: -1,
        })),
      ),
    inspect: (ref) => Promise.resolve().then(() => imageOf(ref)),
    history: () => Promise.resolve([]),
    pull: ({ reference, credentials }) => {
      if (reference.includes("missing"))
        throw new TscomposeError("image/pull-denied", `pull access denied for ${reference}`);
      const messages = async function* (): AsyncGenerator<{ status: string }, void, void> {
        await Promise.resolve();
        yield { status: `Pulling from ${reference} as ${credentials?.username ?? "nobody"}` };
        if (reference.includes("broken")) throw new TscomposeError("registry/failed", "the layer is broken");
        images.add(reference);
        yield { status: `Status: Downloaded newer image for ${reference}` };
      };
      return Promise.resolve(messages());
    },
    push: () => unsupported("push"),
    load: async function* (tar) {
      let size = 0;
      for await (const chunk of tar) size += chunk.length;
      yield { stream: `Loaded ${size} bytes\n` };
    },
    importTar: () => unsupported("import"),
    save: (refs) => Promise.resolve(once(Buffer.from(refs.join(",")))),
    tag: (_ref, repo, tag) => {
      images.add(`${repo}:${tag ?? "latest"}`);
      return Promise.resolve();
    },
    remove: (ref) => {
      const name = imageOf(ref).RepoTags[0] ?? "";
      images.delete(name);
      return Promise.resolve([{ Untagged: name }]);
    },
    prune: () => Promise.resolve({ ImagesDeleted: [], SpaceReclaimed: 0 }),
  };

  const networkOf = (ref: string): NetworkInspect => {
    const found = networks.get(ref) ?? [...networks.values()].find((network) => network.Name === ref);
    if (found === undefined) throw new TscomposeError("network/not-found", `network ${ref} not found`);
    return found;
  };
  const networkService: NetworkService = {
    create: (body) => {
      if ([...networks.values()].some((network) => network.Name === body.Name)) {
        throw new TscomposeError("network/name-in-use", `network with name ${body.Name} already exists`);
      }
      const Id = newId();
      networks.set(Id, {
        Name: body.Name,
        Id,
        Created: new Date().toISOString(),
        Scope: "local",
        Driver: body.Driver || "bridge",
        EnableIPv4: true,
        EnableIPv6: false,
        IPAM: { Driver: "default", Options: null, Config: [] },
        Internal: body.Internal === true,
        Attachable: false,
        Ingress: false,
        ConfigFrom: { Network: "" },
        ConfigOnly: false,
        Containers: {},
        Options: {},
        Labels: body.Labels ?? {},
      });
      return Promise.resolve({ Id, Warning: "" });
    },
    list: () => Promise.resolve([...networks.values()]),
    inspect: (ref) => Promise.resolve().then(() => networkOf(ref)),
    remove: (ref) => {
      networks.delete(networkOf(ref).Id);
      return Promise.resolve();
    },
    connect: (ref, container) => {
      networkOf(ref);
      find(container);
      return Promise.resolve();
    },
    disconnect: () => Promise.resolve(),
    prune: () => Promise.resolve({ NetworksDeleted: [] }),
  };

  const volumeOf = (name: string): VolumeInspect => {
    const found = volumes.get(name);
    if (found === undefined) throw new TscomposeError("volume/not-found", `get ${name}: no such volume`);
    return found;
  };
  const volumeService: VolumeService = {
    create: (body) => {
      const name = body.Name || newId();
      const volume = volumes.get(name) ?? {
        CreatedAt: new Date().toISOString(),
        Driver: "local",
        Labels: body.Labels ?? null,
        Mountpoint: `/volumes/${name}`,
        Name: name,
        Options: body.DriverOpts ?? null,
        Scope: "local",
      };
      volumes.set(name, volume);
      return Promise.resolve(volume);
    },
    list: () => Promise.resolve({ Volumes: [...volumes.values()], Warnings: [] }),
    inspect: (name) => Promise.resolve().then(() => volumeOf(name)),
    remove: (name, force) => {
      if (!force) volumeOf(name);
      volumes.delete(name);
      return Promise.resolve();
    },
    prune: () => Promise.resolve({ VolumesDeleted: [], SpaceReclaimed: 0 }),
  };
  const system: SystemService = {
    info: () =>
      Promise.resolve({
        ID: "memory",
        Name: "memory",
        Containers: records.size,
        Swarm: { LocalNodeState: "inactive" },
      }),
    version: () =>
      Promise.resolve({ Version: "0", Os: "linux", Arch: "amd64", Platform: { Name: "memory" }, Components: [] }),
    diskUsage: () => Promise.resolve({ LayersSize: 0, Images: [], Containers: [], Volumes: [], BuildCache: [] }),
  };

  const engine: MemoryEngine = {
    containers,
    exec,
    images: imageService,
    networks: networkService,
    volumes: volumeService,
    system,
    events: {
      subscribe: async function* ({ filters }, signal) {
        engine.lastFilters = filters;
        const queue: EventMessage[] = [];
        const changed = new Signal();
        const listen = (message: EventMessage): void => {
          queue.push(message);
          changed.fire();
        };
        listeners.add(listen);
        engine.followers += 1;
        try {
          while (!signal.aborted) {
            const message = queue.shift();
            if (message === undefined) await changed.wait(signal);
            else yield message;
          }
        } finally {
          listeners.delete(listen);
          engine.followers -= 1;
        }
      },
    },
    close: () => Promise.resolve(),
    records,
    lastBody: undefined,
    lastFilters: undefined,
    uploads,
    followers: 0,
    execProcess: (id) => execs.get(id)?.process,
    emit: (message) => {
      for (const listen of listeners) listen(message);
    },
  };
  return engine;
}

async function* once(data: Buffer): AsyncGenerator<Buffer, void, void> {
  await Promise.resolve();
  yield data;
}

type Endpoints = ContainerSummary["NetworkSettings"]["Networks"];

function toSummary(record: MemoryContainer, Networks: Endpoints): ContainerSummary {
  return {
    Id: record.id,
    Names: [`/${record.name}`],
    Image: record.body.Image ?? "",
    ImageID: `sha256:${"0".repeat(64)}`,
    Command: (record.body.Cmd ?? []).join(" "),
    Created: 0,
    Ports: [],
    Labels: record.body.Labels ?? {},
    State: record.status,
    Status: record.status === "running" ? "Up 1 second" : "Exited (0) 1 second ago",
    HostConfig: { NetworkMode: "bridge" },
    NetworkSettings: { Networks },
    Mounts: [],
  };
}

function toInspect(record: MemoryContainer, Networks: Endpoints): ContainerInspect {
  return {
    Id: record.id,
    Created: never,
    Path: record.body.Cmd?.[0] ?? "",
    Args: (record.body.Cmd ?? []).slice(1),
    State: {
      Status: record.status,
      Running: record.status === "running",
      Paused: false,
      Restarting: false,
      OOMKilled: false,
      Dead: false,
      Pid: record.status === "running" ? 1 : 0,
      ExitCode: record.process.exitCode ?? 0,
      Error: "",
      StartedAt: record.startedAt,
      FinishedAt: never,
    },
    Image: `sha256:${"0".repeat(64)}`,
    ResolvConfPath: "",
    HostnamePath: "",
    HostsPath: "",
    LogPath: "",
    Name: `/${record.name}`,
    RestartCount: 0,
    Driver: "overlay2",
    Platform: "linux",
    MountLabel: "",
    ProcessLabel: "",
    AppArmorProfile: "",
    ExecIDs: null,
    HostConfig: record.body.HostConfig ?? {},
    GraphDriver: { Name: "overlay2", Data: {} },
    Mounts: [],
    Config: record.body,
    NetworkSettings: { Bridge: "", SandboxID: "", SandboxKey: "", Ports: {}, Networks },
  };
}
