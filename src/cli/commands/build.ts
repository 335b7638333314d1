import type { Command } from "commander";

import { build } from "../../compose/build.ts";
import { TscomposeError } from "../../errors.ts";
import { parseBytes } from "../../spec/units.ts";

import { collect } from "../globals.ts";
import type { RunCommand } from "../program.ts";
import { plainNo } from "../plain-no.ts";
import { printLines } from "../terminal.ts";

interface BuildFlags {
  readonly buildArg: readonly string[];
  readonly memory?: string;
  readonly noCache?: boolean;
  readonly print?: boolean;
  readonly pull?: boolean;
  readonly push?: boolean;
  readonly quiet?: boolean;
  readonly withDependencies?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these")
    .option("--build-arg <name=value>", "set a build argument (repeatable)", collect, [])
    .option("-m, --memory <size>", "memory that a build step may use")
    .addOption(plainNo("--no-cache", "take nothing from the cache"))
    .option("--print", "print what would be built as JSON, and do nothing")
    .option("--pull", "ask the registry for newer base images")
    .option("--push", "push the images that were built")
    .option("-q, --quiet", "print nothing but failures")
    .option("--with-dependencies", "also build what they depend on")
    .action((services: readonly string[], flags: BuildFlags) =>
      run(async (app) => {
        const dependencies = flags.withDependencies === true || services.length === 0 ? "include" : "ignore";
        const overrides = {
          noCache: flags.noCache === true,
          pull: flags.pull === true,
          args: buildArgs(flags.buildArg, app.terminal.environment),
          memoryBytes: flags.memory === undefined ? undefined : parseBytes(flags.memory),
        };
        if (flags.print === true) {
          const { buildRequest } = await import("../../compose/build-request.ts");
          const project = await app.loadProject({ services, dependencies });
          const names = Object.keys(project.services).filter((name) => project.services[name]?.build !== undefined);
          const requests = names.map((name) => [name, buildRequest(project, name, overrides)] as const);
          printLines(app.terminal.stdout, [JSON.stringify(Object.fromEntries(requests), undefined, 2)]);
          return;
        }
        const [project, context] = await Promise.all([
          app.loadProject({ services, dependencies }),
          app.context({ quiet: flags.quiet === true }),
        ]);
        const isPlain =
          app.globals.progress === "plain" || (app.globals.progress === "auto" && app.terminal.stderr.isTTY !== true);
        const onLine = (service: string, line: string): void =>
          void app.terminal.stderr.write(`${service} | ${line}\n`);
        await build(context, project, { ...overrides, ...(isPlain && flags.quiet !== true ? { onLine } : {}) });
        if (flags.push !== true) return;
        const { push } = await import("../../compose/push.ts");
        await push(context, project, { ignoreFailures: false });
      }),
    );
}

/** `NAME=value`, or `NAME` for the value of the environment. @throws compose/usage */
function buildArgs(
  given: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): Readonly<Record<string, string>> {
  const pairs = given.flatMap((text): (readonly [string, string])[] => {
    const at = text.indexOf("=");
    if (at === 0) throw new TscomposeError("compose/usage", `--build-arg ${text} has no name`);
    if (at > 0) return [[text.slice(0, at), text.slice(at + 1)]];
    const value = environment[text];
    return value === undefined ? [] : [[text, value]];
  });
  return Object.fromEntries(pairs);
}
