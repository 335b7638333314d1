import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import {
  configEnvironment,
  configHashes,
  configVariables,
  listConfig,
  renderConfig,
} from "../../../src/compose/config.ts";
import type { ConfigList, ConfigRequest } from "../../../src/compose/config.ts";
import type { LoadOptions, SkippablePhase } from "../../../src/spec/load-options.ts";
import { peerPrograms } from "../../support/peers.ts";
import { disk, sortKeys } from "./support.ts";

const peers = peerPrograms();
const directory = fileURLToPath(new URL("attributes", import.meta.url));
const environment = { PATH: "/usr/bin:/bin", HOME: "/nonexistent", SET: "yes", PWD: directory };

function theirs(args: readonly string[]): string {
  const command = join(peers ?? "", "docker-compose");
  const result = spawnSync(command, [...args], { cwd: directory, env: environment, encoding: "utf8" });
  if (result.status !== 0) throw new Error(result.stderr);
  return result.stdout;
}

function request(
  file: string,
  without: readonly SkippablePhase[] = [],
  more: Partial<LoadOptions> = {},
): ConfigRequest {
  const load: LoadOptions = {
    cwd: directory,
    environment,
    home: "/nonexistent",
    files: [file],
    profiles: ["dev"],
    without: new Set(without),
    ...more,
  };
  return { load, files: disk };
}

const lines = (text: string): string[] =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .sort();
const documents = ["service.yaml", "build.yaml", "deploy.yaml", "develop-hooks.yaml", "resources.yaml"];

describe.skipIf(peers === undefined)(
  peers === undefined ? "flags of config (not run: no peer)" : "flags of config, against docker-compose",
  () => {
    for (const document of documents) {
      const args = ["-f", document, "--profile", "dev", "config"];

      for (const list of [
        "services",
        "volumes",
        "networks",
        "models",
        "profiles",
        "images",
      ] as const satisfies ConfigList[]) {
        it(`${document} --${list}`, async () => {
          expect([...(await listConfig(request(document), list))].sort()).toEqual(
            lines(theirs([...args, `--${list}`])),
          );
        });
      }

      it(`${document} --hash '*'`, async () => {
        const ours = await configHashes(request(document), "*");
        expect(ours.map(({ service, hash }) => `${service} ${hash}`)).toEqual(lines(theirs([...args, "--hash", "*"])));
      });

      it(`${document} --environment`, async () => {
        expect([...(await configEnvironment(request(document)))].sort()).toEqual(
          lines(theirs([...args, "--environment"])),
        );
      });

      it(`${document} --variables`, async () => {
        const ours = (await configVariables(request(document))).map((one) => one.name);
        const table = theirs([...args, "--variables"])
          .trim()
          .split("\n")
          .slice(1);
        expect(ours).toEqual(table.map((row) => row.split(/\s+/)[0]).sort());
      });

      const phases: readonly (readonly [flag: string, phase: SkippablePhase])[] = [
        ["--no-interpolate", "interpolation"],
        ["--no-normalize", "normalization"],
        ["--no-path-resolution", "path-resolution"],
        ["--no-consistency", "consistency"],
        ["--no-env-resolution", "env-files"],
      ];
      for (const [flag, phase] of phases) {
        it(`${document} ${flag}`, async () => {
          for (const format of ["json", "yaml"] as const) {
            const { text } = await renderConfig({ ...request(document, [phase]), format });
            expect(sortKeys(parse(text))).toEqual(sortKeys(parse(theirs([...args, flag, "--format", format]))));
          }
        });
      }
    }

    it("services named on the command line bring their dependencies and what these use", async () => {
      const { text } = await renderConfig({
        ...request("service.yaml", [], { profiles: [], services: ["c"] }),
        format: "json",
      });
      expect(sortKeys(JSON.parse(text))).toEqual(
        sortKeys(JSON.parse(theirs(["-f", "service.yaml", "config", "--format", "json", "c"]))),
      );
    });
  },
);
