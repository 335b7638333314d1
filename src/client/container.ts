/** A container by id or name. Making a handle asks nothing of the server. */
import type { Duplex, Readable } from "node:stream";
import type { ArchiveStat, ContainerInspect, WaitResult } from "../api/wire.ts";
import { withCallback } from "./callback.ts";
import { Exec } from "./exec.ts";
import { Handle } from "./handle.ts";
import type { Modem } from "./modem.ts";
import type {
  Abortable,
  ArchivePutQuery,
  ArchiveQuery,
  AttachQuery,
  BytesSource,
  Call,
  CallWith,
  Callback,
  CommitOptions,
  ExecCreateOptions,
  InspectQuery,
  KillQuery,
  LogsQuery,
  RemoveQuery,
  RenameQuery,
  ResizeQuery,
  StatsQuery,
  StopQuery,
  TopQuery,
  UpdateOptions,
  WaitQuery,
} from "./options.ts";

/** Kind: 0 modified, 1 added, 2 deleted. */
export interface FileChange {
  readonly Path: string;
  readonly Kind: 0 | 1 | 2;
}

export class Container extends Handle {
  readonly id: string;
  constructor(modem: Modem, id: string) {
    super(modem, { id });
    this.id = id;
  }

  readonly inspect: Call<InspectQuery, ContainerInspect> = this.call("containerInspect");
  /** @throws container/not-modified when it runs already. */
  readonly start: Call<Abortable, void> = this.call("containerStart");
  /** @throws container/not-modified when it does not run. */
  readonly stop: Call<StopQuery, void> = this.call("containerStop");
  readonly restart: Call<StopQuery, void> = this.call("containerRestart");
  readonly kill: Call<KillQuery, void> = this.call("containerKill");
  readonly pause: Call<Abortable, void> = this.call("containerPause");
  readonly unpause: Call<Abortable, void> = this.call("containerUnpause");
  readonly rename: CallWith<RenameQuery, void> = this.call("containerRename");
  readonly update: CallWith<UpdateOptions, { readonly Warnings: readonly string[] | null }> =
    this.call("containerUpdate");
  /** Resolves when it has ended. */
  readonly wait: Call<WaitQuery, WaitResult> = this.call("containerWait");
  /** Resolves when the server watches: a container started after that cannot end unseen. `result` comes at its end. */
  async beginWait(options: WaitQuery = {}): Promise<{ readonly result: Promise<WaitResult> }> {
    const stream = await this.modem.request<Readable>("containerWait", {
      parameters: this.parameters,
      options,
      early: true,
    });
    const result = this.modem.collect(stream).then((bytes) => JSON.parse(bytes.toString("utf8")) as WaitResult);
    result.catch(() => undefined); // the caller may look at it later
    return { result };
  }
  readonly remove: Call<RemoveQuery, void> = this.call("containerRemove");
  readonly resize: CallWith<ResizeQuery, void> = this.call("containerResize");
  readonly top: Call<
    TopQuery,
    { readonly Titles: readonly string[]; readonly Processes: readonly (readonly string[])[] }
  > = this.call("containerTop");
  readonly changes: Call<Abortable, readonly FileChange[] | null> = this.call("containerChanges");
  readonly export: Call<Abortable, Readable> = this.call("containerExport");
  readonly exec: CallWith<ExecCreateOptions, Exec> = this.call(
    "containerExec",
    (created: { readonly Id: string }) => new Exec(this.modem, created.Id),
  );
  commit(options: CommitOptions = {}): Promise<{ readonly Id: string }> {
    return this.modem.request("containerCommit", { options: { ...options, container: this.id } });
  }
  /** The stdio: with a tty raw bytes, else frames for `modem.demuxStream`. `end()` is end of file for the process. */
  readonly attach: Call<AttachQuery, Duplex> = this.call("containerAttach");

  /** With `follow` the stream, else all of it; frames as of `attach`. */
  logs(options: LogsQuery & { readonly follow: true }): Promise<Readable>;
  logs(options?: LogsQuery & { readonly follow?: false }): Promise<Buffer>;
  logs(options: LogsQuery & { readonly follow: true }, callback: Callback<Readable>): void;
  logs(options: LogsQuery & { readonly follow?: false }, callback: Callback<Buffer>): void;
  logs(
    options: LogsQuery & { readonly follow?: boolean } = {},
    callback?: Callback<never>,
  ): Promise<Readable | Buffer> | void {
    const stream = this.modem.request<Readable>("containerLogs", { parameters: this.parameters, options });
    const result = options.follow === true ? stream : stream.then((readable) => this.modem.collect(readable));
    return withCallback(result as Promise<never>, callback);
  }

  /** With `stream: false` one sample, else the stream of JSON lines, one a second. */
  stats(options: StatsQuery & { readonly stream: false }): Promise<Readonly<Record<string, unknown>>>;
  stats(options?: StatsQuery & { readonly stream?: true }): Promise<Readable>;
  async stats(
    options: StatsQuery & { readonly stream?: boolean } = {},
  ): Promise<Readable | Readonly<Record<string, unknown>>> {
    const stream = await this.modem.request<Readable>("containerStats", { parameters: this.parameters, options });
    if (options.stream !== false) return stream;
    return JSON.parse((await this.modem.collect(stream)).toString("utf8")) as Readonly<Record<string, unknown>>;
  }

  /** A tar of `path`. */
  readonly getArchive: CallWith<ArchiveQuery, Readable> = this.call("containerArchiveGet");
  readonly infoArchive: CallWith<ArchiveQuery, ArchiveStat> = this.call("containerArchiveStat");
  /** Unpacks a tar into the directory `path`. */
  putArchive(file: BytesSource, options: ArchivePutQuery): Promise<void>;
  putArchive(file: BytesSource, options: ArchivePutQuery, callback: Callback<void>): void;
  putArchive(file: BytesSource, options: ArchivePutQuery, callback?: Callback<void>): Promise<void> | void {
    const request = this.modem.request<void>("containerArchivePut", {
      parameters: this.parameters,
      options,
      bytes: file,
    });
    return withCallback(request, callback);
  }
}
