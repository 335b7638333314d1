/** The client of an engine, ours or Docker's, in dockerode's shape. In: option objects with the API's names. Out: the API's
 *  JSON objects, handles, streams, `TscomposeError` for refusals (code by status and text, message as the server wrote it).
 *  The only way the planner and the commands reach an engine. */
import type { Readable } from "node:stream";
import type {
  ContainerSummary,
  EventMessage,
  ImageDeleteItem,
  ImageSummary,
  NetworkFault,
  NetworkFaultBody,
  NetworkInspect,
  ProgressMessage,
  RegistryCredentials,
  SearchResult,
  VolumeInspect,
} from "../api/wire.ts";
import { withCallback } from "./callback.ts";
import { Container } from "./container.ts";
import { Exec } from "./exec.ts";
import { Handle } from "./handle.ts";
import { Image } from "./image.ts";
import { Modem } from "./modem.ts";
import { Network } from "./network.ts";
import { Volume } from "./volume.ts";
import { parseRepositoryTag } from "./repository-tag.ts";
import { readJsonLines } from "./streams.ts";
import type {
  Abortable,
  BuildQuery,
  BytesSource,
  Call,
  CallWith,
  Callback,
  ContainerCreateOptions,
  ContainerListQuery,
  DiskUsageQuery,
  DockerOptions,
  EventsQuery,
  Filtered,
  ImageListQuery,
  LoadQuery,
  NetworkCreateOptions,
  PullQuery,
  VolumeCreateOptions,
} from "./options.ts";

/** What `version()` gives, as far as clients use it. */
export interface VersionInfo {
  readonly Version: string;
  readonly ApiVersion: string;
  readonly MinAPIVersion?: string;
  readonly Os: string;
  readonly Arch: string;
  readonly KernelVersion?: string;
  readonly Platform?: { readonly Name: string };
  readonly Components?: readonly { readonly Name: string; readonly Version: string }[];
}
/** What `info()` gives, as far as clients use it; the rest by name. */
export interface SystemInfo {
  readonly [key: string]: unknown;
  readonly ID: string;
  readonly Name: string;
  readonly ServerVersion: string;
  readonly Containers: number;
  readonly ContainersRunning: number;
  readonly Images: number;
  readonly Driver: string;
  readonly OSType: string;
  readonly Architecture: string;
  readonly NCPU: number;
  readonly MemTotal: number;
  readonly DockerRootDir: string;
}

export class Docker extends Handle {
  constructor(options: DockerOptions = {}) {
    super(new Modem(options), {});
  }

  readonly ping: Call<Abortable, string> = this.call("ping");
  readonly version: Call<Abortable, VersionInfo> = this.call("version");
  readonly info: Call<Abortable, SystemInfo> = this.call("info");
  readonly df: Call<DiskUsageQuery, Readonly<Record<string, unknown>>> = this.call("diskUsage");
  readonly checkAuth: CallWith<
    RegistryCredentials & Abortable,
    { readonly Status: string; readonly IdentityToken?: string }
  > = this.call("auth");
  /** The raw stream of JSON lines; `events` gives them parsed. */
  readonly getEvents: Call<EventsQuery, Readable> = this.call("events");

  readonly listContainers: Call<ContainerListQuery, readonly ContainerSummary[]> = this.call("containerList");
  readonly createContainer: CallWith<ContainerCreateOptions, Container> = this.call(
    "containerCreate",
    (created: { readonly Id: string }) => this.getContainer(created.Id),
  );
  readonly pruneContainers: Call<
    Filtered,
    { readonly ContainersDeleted: readonly string[] | null; readonly SpaceReclaimed: number }
  > = this.call("containerPrune");

  readonly listImages: Call<ImageListQuery, readonly ImageSummary[]> = this.call("imageList");
  readonly pruneImages: Call<
    Filtered,
    { readonly ImagesDeleted: readonly ImageDeleteItem[] | null; readonly SpaceReclaimed: number }
  > = this.call("imagePrune");
  readonly searchImages: CallWith<
    Filtered & { readonly term: string; readonly limit?: number },
    readonly SearchResult[]
  > = this.call("imageSearch");
  readonly pruneBuilder: Call<
    Filtered & { readonly all?: boolean },
    { readonly CachesDeleted: readonly string[] | null; readonly SpaceReclaimed: number }
  > = this.call("buildPrune");

  readonly listNetworks: Call<Filtered, readonly NetworkInspect[]> = this.call("networkList");
  readonly createNetwork: CallWith<NetworkCreateOptions, Network> = this.call(
    "networkCreate",
    (created: { readonly Id: string }) => this.getNetwork(created.Id),
  );
  readonly pruneNetworks: Call<Filtered, { readonly NetworksDeleted: readonly string[] | null }> =
    this.call("networkPrune");

  /** Extensions of our engine: others answer 404. */
  readonly listFaults: Call<Abortable, readonly NetworkFault[]> = this.call("faultList");
  readonly createFault: CallWith<NetworkFaultBody & Abortable, NetworkFault> = this.call("faultCreate");
  async removeFault(id: string, options: Abortable = {}): Promise<void> {
    await this.modem.request<void>("faultRemove", { parameters: { id }, options });
  }

  readonly listVolumes: Call<
    Filtered,
    { readonly Volumes: readonly VolumeInspect[]; readonly Warnings: readonly string[] | null }
  > = this.call("volumeList");
  readonly createVolume: Call<VolumeCreateOptions, Volume> = this.call(
    "volumeCreate",
    (created: { readonly Name: string }) => this.getVolume(created.Name),
  );
  readonly pruneVolumes: Call<
    Filtered,
    { readonly VolumesDeleted: readonly string[] | null; readonly SpaceReclaimed: number }
  > = this.call("volumePrune");

  getContainer(id: string): Container {
    return new Container(this.modem, id);
  }
  getExec(id: string): Exec {
    return new Exec(this.modem, id);
  }
  getImage(name: string): Image {
    return new Image(this.modem, name);
  }
  getNetwork(id: string): Network {
    return new Network(this.modem, id);
  }
  getVolume(name: string): Volume {
    return new Volume(this.modem, name);
  }

  /** Events as objects until the server ends, `until` passes or `abortSignal` fires (which ends the iteration). */
  async *events(options: EventsQuery = {}): AsyncGenerator<EventMessage, void, void> {
    const stream = await this.getEvents(options);
    yield* readJsonLines<EventMessage>(stream, options.abortSignal);
  }

  /** Pulls `repoTag` (`latest` where it has neither tag nor digest). Resolves to the progress stream once the server has
   *  found the image; feed it to `modem.followProgress` or `pullProgress`. */
  pull(repoTag: string, options?: PullQuery): Promise<Readable>;
  pull(
    repoTag: string,
    options: PullQuery | undefined,
    callback: Callback<Readable> | undefined,
    auth?: RegistryCredentials,
  ): Promise<Readable> | void;
  pull(
    repoTag: string,
    options: PullQuery = {},
    callback?: Callback<Readable>,
    auth?: RegistryCredentials,
  ): Promise<Readable> | void {
    const { repository, tag } = parseRepositoryTag(repoTag);
    const query = { fromImage: repository, tag: tag ?? "latest", ...options };
    return this.createImage(auth === undefined ? query : { ...query, authconfig: auth }, callback);
  }
  /** Pulls to the end, giving each progress message. @throws image/pull-denied or registry/failed for an error line. */
  async *pullProgress(repoTag: string, options: PullQuery = {}): AsyncGenerator<ProgressMessage, void, void> {
    yield* this.modem.progress(await this.pull(repoTag, options));
  }
  /** `POST /images/create`: a pull with `fromImage`, an import with `fromSrc`. */
  createImage(options: PullQuery): Promise<Readable>;
  createImage(options: PullQuery, callback: Callback<Readable> | undefined): Promise<Readable> | void;
  createImage(options: PullQuery, callback?: Callback<Readable>): Promise<Readable> | void {
    return withCallback(this.modem.request<Readable>("imagePull", { options }), callback);
  }
  importImage(file: BytesSource, options: PullQuery = {}, callback?: Callback<Readable>): Promise<Readable> | void {
    const query = { ...options, fromSrc: "-" };
    return withCallback(this.modem.request<Readable>("imagePull", { options: query, bytes: file }), callback);
  }
  /** Loads an archive of `docker save`. Resolves to the progress stream. */
  loadImage(file: BytesSource, options?: LoadQuery): Promise<Readable>;
  loadImage(file: BytesSource, options: LoadQuery, callback: Callback<Readable>): void;
  loadImage(file: BytesSource, options: LoadQuery = {}, callback?: Callback<Readable>): Promise<Readable> | void {
    return withCallback(this.modem.request<Readable>("imageLoad", { options, bytes: file }), callback);
  }
  /** One archive of several images. */
  readonly getImages: CallWith<Abortable & { readonly names: readonly string[] }, Readable> =
    this.call("imageSaveMany");
  /** Builds from a tar of the context. */
  buildImage(context: BytesSource, options?: BuildQuery): Promise<Readable>;
  buildImage(context: BytesSource, options: BuildQuery, callback: Callback<Readable>): void;
  buildImage(context: BytesSource, options: BuildQuery = {}, callback?: Callback<Readable>): Promise<Readable> | void {
    return withCallback(this.modem.request<Readable>("build", { options, bytes: context }), callback);
  }
  followProgress: Modem["followProgress"] = (stream, onFinished, onProgress) =>
    this.modem.followProgress(stream, onFinished, onProgress);

  /** Creates a container, copies its output to `output` (two of them: stdout and stderr), waits for its end. */
  async run(
    image: string,
    command: readonly string[],
    output: NodeJS.WritableStream | readonly [NodeJS.WritableStream, NodeJS.WritableStream] | undefined,
    createOptions: ContainerCreateOptions = {},
  ): Promise<readonly [{ readonly StatusCode: number }, Container]> {
    const container = await this.createContainer({
      Image: image,
      Cmd: command,
      AttachStdout: true,
      AttachStderr: true,
      ...createOptions,
    });
    const stream = await container.attach({ stream: true, stdout: true, stderr: true });
    const copied = this.modem.copyOutput(stream, output, createOptions.Tty === true);
    const condition = createOptions.HostConfig?.AutoRemove === true ? "removed" : "next-exit";
    const waiting = await container.beginWait({ condition });
    await container.start();
    const [result] = await Promise.all([waiting.result, copied]);
    return [result, container];
  }

  /** Closes idle connections; requests that run go on. */
  close(): void {
    this.modem.close();
  }
}

export { Container } from "./container.ts";
export { Exec } from "./exec.ts";
export { Image } from "./image.ts";
export { Network } from "./network.ts";
export { Volume } from "./volume.ts";
export { demux, readJsonLines } from "./streams.ts";
export type * from "./options.ts";
