/** Our engine and a real Docker Engine side by side: the same context through both builders. */
import { execFile } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { packContext } from "../../../src/cli/pack-context.ts";
import { Docker } from "../../../src/client/docker.ts";
import { EngineProcess } from "../../support/engine-process.ts";
import { makeBusyboxArchive } from "../../support/images.ts";
import { peerPrograms, startPeerEngine } from "../../support/peers.ts";

const run = promisify(execFile);

export interface Verdict {
  /** Undefined: it was built. */
  readonly error: string | undefined;
  /** Of the Dockerfile, where the failure names one. */
  readonly line: number | undefined;
}

const built: Verdict = { error: undefined, line: undefined };

export class TwoBuilders {
  readonly directory: string;
  readonly ours: EngineProcess;
  readonly theirs: Docker;
  readonly #peer: { readonly host: string; stop(): void };

  private constructor(directory: string, ours: EngineProcess, peer: { readonly host: string; stop(): void }) {
    this.directory = directory;
    this.ours = ours;
    this.#peer = peer;
    this.theirs = new Docker({ host: peer.host });
  }

  /** Both have the image busybox. */
  static async start(): Promise<TwoBuilders> {
    const directory = mkdtempSync(join(tmpdir(), "tsb-"));
    const peer = startPeerEngine(join(directory, "peer"), `tsb${process.pid}`);
    if (peer === undefined) throw new Error("no peer");
    const pair = new TwoBuilders(directory, await EngineProcess.start(), peer);
    for await (const chunk of await pair.theirs.loadImage(createReadStream(await makeBusyboxArchive(directory))))
      void chunk;
    return pair;
  }

  async stop(): Promise<void> {
    this.theirs.close();
    await this.ours.dispose();
    this.#peer.stop();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** Builds `context` as the image `ours`. */
  async buildOurs(context: string, as: "archive" | "folder"): Promise<Verdict> {
    const packed = await packContext({ directory: context, dockerfile: "Dockerfile", dockerfileText: undefined, as });
    try {
      const stream = await this.ours.docker.buildImage(Readable.from(packed.archive), {
        t: "ours",
        nocache: true,
        dockerfile: packed.dockerfile,
        tscomposeBuild: { rich: true, allow: [], secrets: {}, folder: packed.folder },
      });
      for await (const message of this.ours.docker.modem.progress(stream)) void message;
      return built;
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      const [, line, rest = text] = /^Dockerfile:(\d+):\d+: ([^]*?)(?:\n *\d+ \| [^]*)?$/.exec(text) ?? [];
      return { error: rest, line: line === undefined ? undefined : Number(line) };
    }
  }

  /** Their builder's own account of a build of `context`. */
  async theirLog(context: string, ...args: readonly string[]): Promise<string> {
    const config = join(this.directory, "peer", "config");
    const env = { ...process.env, DOCKER_HOST: this.#peer.host, DOCKER_CONFIG: config };
    const words = ["build", "--progress=plain", "--provenance=false", ...args, context];
    const { stderr } = await run(join(peerPrograms() ?? "", "docker"), words, { env });
    return stderr;
  }

  /** Builds `context` as the image `theirs`. */
  async buildTheirs(context: string): Promise<Verdict> {
    const config = join(this.directory, "peer", "config");
    const env = { ...process.env, DOCKER_HOST: this.#peer.host, DOCKER_CONFIG: config };
    const args = ["build", "--no-cache", "--provenance=false", "-q", "-t", "theirs", context];
    try {
      await run(join(peerPrograms() ?? "", "docker"), args, { env });
      return built;
    } catch (error) {
      const { stderr } = error as { readonly stderr?: string };
      const text = stderr ?? String(error);
      const line = /^ *(\d+) \| >>> /m.exec(text)?.[1];
      const [, message = text] = /ERROR: (?:failed to build: )?(?:failed to solve: )?([^]*)$/.exec(text) ?? [];
      return { error: message.trim(), line: line === undefined ? undefined : Number(line) };
    }
  }
}
