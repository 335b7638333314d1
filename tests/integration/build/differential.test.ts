/** Generated builds through our engine and through BuildKit: the same images, file by file. Seeds and their number can be
 *  given: BUILD_SEED, BUILD_COUNT. */
import { execFile } from "node:child_process";
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packContext } from "../../../src/cli/pack-context.ts";
import { Docker } from "../../../src/client/docker.ts";
import { EngineProcess } from "../../support/engine-process.ts";
import { makeBusyboxArchive } from "../../support/images.ts";
import { peerPrograms, startPeerEngine } from "../../support/peers.ts";
import { generateBuild } from "./generate-build.ts";
import { imageFacts } from "./image-facts.ts";

const run = promisify(execFile);
const firstSeed = Number(process.env["BUILD_SEED"] ?? 1);
const count = Number(process.env["BUILD_COUNT"] ?? 30);

const programs = peerPrograms();
const directory = mkdtempSync(join(tmpdir(), "tsb-"));
const peer = programs === undefined ? undefined : startPeerEngine(join(directory, "peer"), `tsb${process.pid}`);
const reason = peer === undefined ? " (not run: no peer)" : "";

describe.skipIf(peer === undefined)(`generated builds are BuildKit's, file by file${reason}`, () => {
  let engine: EngineProcess;
  let theirs: Docker;

  beforeAll(async () => {
    engine = await EngineProcess.start();
    theirs = new Docker({ host: peer?.host ?? "" });
    const archive = await makeBusyboxArchive(directory);
    for await (const chunk of await theirs.loadImage(createReadStream(archive))) void chunk;
  });

  afterAll(async () => {
    theirs.close();
    await engine.dispose();
    peer?.stop();
    rmSync(directory, { recursive: true, force: true });
  });

  async function ourBuild(context: string): Promise<string | undefined> {
    const packed = await packContext({
      directory: context,
      dockerfile: "Dockerfile",
      dockerfileText: undefined,
      as: "archive",
    });
    const stream = await engine.docker.buildImage(Readable.from(packed.archive), {
      t: "ours",
      dockerfile: packed.dockerfile,
    });
    try {
      for await (const message of engine.docker.modem.progress(stream)) void message;
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async function theirBuild(context: string): Promise<string | undefined> {
    const env = { ...process.env, DOCKER_HOST: peer?.host ?? "", DOCKER_CONFIG: join(directory, "peer", "config") };
    try {
      await run(
        join(programs ?? "", "docker"),
        ["build", "--no-cache", "--provenance=false", "-q", "-t", "theirs", context],
        { env },
      );
      return undefined;
    } catch (error) {
      return String((error as { readonly stderr?: string }).stderr ?? error);
    }
  }

  it.each(Array.from({ length: count }, (_, index) => firstSeed + index))("seed %i", async (seed) => {
    const context = join(directory, `ctx-${seed}`);
    const dockerfile = generateBuild(seed, context);
    const [ours, peers] = [await ourBuild(context), await theirBuild(context)];
    // BuildKit loses files of a context with --parents and "." as a source, and with --exclude and a symlink to nowhere.
    if (peers !== undefined && /failed to calculate checksum of ref [^ ]*: "\/(?:ln-none)?": not found/.test(peers))
      return;
    const about = `${dockerfile}\nours: ${ours ?? "built"}\ntheirs: ${peers ?? "built"}`;
    expect(ours !== undefined, about).toBe(peers !== undefined);
    if (ours === undefined) {
      const [own, other] = await Promise.all([imageFacts(engine.docker, "ours"), imageFacts(theirs, "theirs")]);
      expect(own, about).toEqual(other);
    }
    rmSync(context, { recursive: true, force: true });
  });
});
