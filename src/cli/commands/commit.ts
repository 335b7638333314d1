import type { Command } from "commander";

import { oneContainer } from "../../compose/select.ts";
import { observeContainers } from "../../planner/observe.ts";

import { collect } from "../globals.ts";
import { wholeNumber } from "../option-values.ts";
import type { RunCommand } from "../program.ts";

interface CommitFlags {
  readonly author?: string;
  readonly change: readonly string[];
  readonly index: string;
  readonly message?: string;
  readonly pause: string;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("<service>")
    .argument("[repository]", "name of the image, with tag")
    .option("-a, --author <text>", "who made it")
    .option("-c, --change <instruction>", "a Dockerfile instruction to apply (repeatable)", collect, [])
    .option("--index <number>", "the replica of this number", "0")
    .option("-m, --message <text>", "what was changed")
    .option("-p, --pause <bool>", "freeze the container meanwhile", "true")
    .action((service: string, repository: string | undefined, flags: CommitFlags) =>
      run(async (app) => {
        const [reference, context] = await Promise.all([app.reference("name"), app.context()]);
        const containers = await observeContainers(context.docker, reference.name, context.signal);
        const { id, name } = oneContainer(containers, service, {
          index: wholeNumber(flags.index, "--index"),
          running: true,
        });
        context.onProgress({ kind: "Container", name, status: "working", text: "Committing" });
        const colon = repository?.lastIndexOf(":") ?? -1;
        const tagged = repository !== undefined && colon > repository.lastIndexOf("/");
        const made = await context.docker.getContainer(id).commit({
          ...(repository === undefined ? {} : { repo: tagged ? repository.slice(0, colon) : repository }),
          ...(tagged ? { tag: repository.slice(colon + 1) } : {}),
          ...(flags.author === undefined ? {} : { author: flags.author }),
          ...(flags.message === undefined ? {} : { comment: flags.message }),
          ...(flags.change.length === 0 ? {} : { changes: flags.change.join("\n") }),
          pause: flags.pause !== "false",
        });
        context.onProgress({ kind: "Container", name, status: "done", text: `Committed as ${made.Id}` });
      }),
    );
}
