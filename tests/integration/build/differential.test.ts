/** Generated builds through our engine and through BuildKit: the same images, file by file, and for odd Dockerfiles the same
 *  verdicts at the same lines. Seeds and their numbers can be given: BUILD_SEED, BUILD_COUNT, BUILD_ODD_COUNT. */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { newFolder } from "../../../src/cli/local-folder.ts";
import { peerPrograms } from "../../support/peers.ts";
import { buildLines } from "./build-fixture.ts";
import { generateBuild } from "./generate-build.ts";
import { generateDockerfile } from "./generate-dockerfile.ts";
import { imageFacts } from "./image-facts.ts";
import { onlyTheirsFails } from "./known-differences.ts";
import { TwoBuilders } from "./two-builders.ts";

const firstSeed = Number(process.env["BUILD_SEED"] ?? 1);
const seeds = (count: number): readonly number[] => Array.from({ length: count }, (_, index) => firstSeed + index);

const missing = peerPrograms() === undefined;

describe.skipIf(missing)(`our builder and BuildKit${missing ? " (not run: no peer)" : ""}`, () => {
  let pair: TwoBuilders;

  beforeAll(async () => {
    pair = await TwoBuilders.start();
  });
  afterAll(async () => {
    await pair.stop();
  });

  /** Even seeds send the context as an archive, odd ones let the engine read the folder. */
  async function compare(context: string, dockerfile: string, seed: number): Promise<void> {
    const as = seed % 2 === 0 ? "archive" : "folder";
    const [ours, theirs] = await Promise.all([pair.buildOurs(context, as), pair.buildTheirs(context)]);
    const known = onlyTheirsFails.some((difference) => difference.theirs.test(theirs.error ?? ""));
    if (ours.error === undefined && known) return;
    const about = `${dockerfile}\nours: ${ours.error ?? "built"}\ntheirs: ${theirs.error ?? "built"}`;
    expect(ours.error === undefined, about).toBe(theirs.error === undefined);
    // Which of several steps that cannot be done is told is a matter of time.
    const isTimely = /failed to c(?:ompute cache key|alculate checksum)|^lstat |^invalid user index/.test(
      theirs.error ?? "",
    );
    if (theirs.line !== undefined && !isTimely) expect(ours.line, about).toBe(theirs.line);
    if (ours.error !== undefined) return;
    const [own, other] = await Promise.all([imageFacts(pair.ours.docker, "ours"), imageFacts(pair.theirs, "theirs")]);
    expect(own, about).toEqual(other);
  }

  it.each(seeds(Number(process.env["BUILD_COUNT"] ?? 30)))("the same image: seed %i", async (seed) => {
    const context = join(pair.directory, `ctx-${seed}`);
    await compare(context, generateBuild(seed, context), seed);
    rmSync(context, { recursive: true, force: true });
  });

  it("each reads the build caches of the other, and finds nothing in them: their keys differ", async () => {
    const context = join(pair.directory, "caches");
    mkdirSync(context);
    const lines = ["FROM busybox AS a", "RUN echo a > /a", "FROM busybox", "COPY --from=a /a /a"];
    writeFileSync(join(context, "Dockerfile"), lines.join("\n"));
    const entry = (place: string, more = ""): readonly object[] => [
      { text: `type=local,${place}${more}`, folder: newFolder(place.replace(/^[a-z]+=/, "")) },
    ];
    for (const form of ["manifest", "index"]) {
      const folder = join(pair.directory, `cache-${form}`);
      const cacheTo = entry(`dest=${folder}`, `,mode=max,image-manifest=${form === "manifest"}`);
      const own = await buildLines(pair.ours, lines, {}, { tscomposeBuild: { cacheTo } });
      expect(own.error).toBeUndefined();
      const log = await pair.theirLog(context, "--cache-from", `type=local,src=${folder}`);
      const [, step = "no step"] = /^(#\d+) importing cache manifest from local/m.exec(log) ?? [];
      expect(log).toMatch(new RegExp(`^${step} DONE`, "m"));
      expect(log).not.toContain("ERROR");
    }
    const theirs = join(pair.directory, "cache-theirs");
    await pair.theirLog(context, "--cache-to", `type=local,dest=${theirs},mode=max`);
    const cacheFrom = entry(`src=${theirs}`);
    const read = await buildLines(pair.ours, [...lines, "RUN true"], {}, { tscomposeBuild: { cacheFrom } });
    expect(read.error).toBeUndefined();
    expect(read.text).not.toContain("[Warning]");
  });

  it.each(seeds(Number(process.env["BUILD_ODD_COUNT"] ?? 15)))("an odd Dockerfile: seed %i", async (seed) => {
    const context = join(pair.directory, `odd-${seed}`);
    const dockerfile = generateDockerfile(seed);
    mkdirSync(context);
    writeFileSync(join(context, "Dockerfile"), dockerfile);
    await compare(context, dockerfile, seed);
    rmSync(context, { recursive: true, force: true });
  });
});
