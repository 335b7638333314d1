import type { Command } from "commander";

import { defaultReconcileOptions, type ReconcileOptions } from "../../planner/options.ts";
import { formatPlan } from "../../planner/plan.ts";
import { converge, type ConvergeOptions, planConverge } from "../../compose/converge.ts";
import type { PullOverride } from "../../compose/images-needed.ts";
import { withScales } from "../../compose/scale.ts";
import { TscomposeError } from "../../errors.ts";

import type { App } from "../app.ts";
import { collect, isTrue } from "../globals.ts";
import { plainNo } from "../plain-no.ts";
import { exclusive, oneOf, scales, timeoutSeconds, waitTimeout } from "../option-values.ts";
import type { RunCommand } from "../program.ts";
import { printLines } from "../terminal.ts";

export interface UpFlags {
  readonly detach?: boolean;
  readonly abortOnContainerExit?: boolean;
  readonly abortOnContainerFailure?: boolean;
  readonly alwaysRecreateDeps?: boolean;
  readonly attach: readonly string[];
  readonly attachDependencies?: boolean;
  readonly build?: boolean | undefined;
  readonly exitCodeFrom?: string;
  readonly forceRecreate?: boolean;
  readonly noAttach: readonly string[];
  readonly noBuild?: boolean;
  readonly noColor?: boolean;
  readonly noDeps?: boolean;
  readonly noLogPrefix?: boolean;
  readonly noRecreate?: boolean;
  readonly noStart?: boolean;
  readonly pull: string;
  readonly quietPull?: boolean;
  readonly removeOrphans?: boolean;
  readonly renewAnonVolumes?: boolean;
  readonly scale: readonly string[];
  readonly timeout?: string;
  readonly timestamps?: boolean;
  readonly wait?: boolean;
  readonly waitTimeout?: string;
  readonly yes?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  // Flags that begin with --no- are plain flags here: commander would take them for the opposite of another.
  command
    .argument("[services...]", "only these and what they depend on")
    .option("-d, --detach", "leave the containers running and return")
    .option("--abort-on-container-exit", "stop everything when a container ends")
    .option("--abort-on-container-failure", "stop everything when a container ends with an error")
    .option("--always-recreate-deps", "recreate dependencies too")
    .option("--attach <service>", "show only this service's output (repeatable)", collect, [])
    .option("--attach-dependencies", "show the output of dependencies too")
    .option("--build", "build images first")
    .option("--exit-code-from <service>", "end with the exit code of this service")
    .option("--force-recreate", "recreate containers even if nothing changed")
    .addOption(
      plainNo("--no-attach <service>", "do not show this service's output (repeatable)").argParser(collect).default([]),
    )
    .addOption(plainNo("--no-build", "never build an image"))
    .addOption(plainNo("--no-color", "no colours"))
    .addOption(plainNo("--no-deps", "leave dependencies alone"))
    .addOption(plainNo("--no-log-prefix", "do not put the container's name before its output"))
    .addOption(plainNo("--no-recreate", "keep containers that exist"))
    .addOption(plainNo("--no-start", "create only"))
    .option("--pull <policy>", "pull images: always, missing, never", "policy")
    .option("--quiet-pull", "do not show the progress of pulls")
    .option("--remove-orphans", "remove containers of services that are not in the compose file")
    .option("-V, --renew-anon-volumes", "new anonymous volumes instead of those of the containers replaced")
    .option("--scale <service=number>", "run so many containers of a service (repeatable)", collect, [])
    .option("-t, --timeout <seconds>", "time to stop before a container is killed")
    .option("--timestamps", "show when each line was written")
    .option("--wait", "wait until services run or are healthy; implies --detach")
    .option("--wait-timeout <seconds>", "give up waiting after this time")
    .option("-y, --yes", "answer every question with yes")
    .option("--dry-run", "show what would be done, and do nothing")
    .action((services: readonly string[], flags: UpFlags) => run((app) => up(app, services, flags)));
}

async function up(app: App, services: readonly string[], flags: UpFlags): Promise<void> {
  checkFlags(flags);
  const { environment } = app.terminal;
  const dependencies = flags.noDeps === true ? "ignore" : "include";
  const [loaded, context] = await Promise.all([
    app.loadProject({ command: "up", services, dependencies }),
    app.context(),
  ]);
  const project = withScales(loaded, scales(flags.scale));
  if (Object.keys(project.services).length === 0) throw new TscomposeError("compose/usage", "no service selected");
  const options = convergeOptions(flags, services, environment);
  if (app.globals.dryRun) {
    const { needs, reconciled } = await planConverge(context, project, options);
    for (const warning of reconciled.warnings) app.warn(warning);
    const images = needs
      .filter(({ action }) => action !== "none")
      .map(({ reference, action }) => `image ${reference}: ${action}`);
    printLines(app.terminal.stdout, [
      ...images,
      ...(reconciled.plan.nodes.length === 0 ? [] : [formatPlan(reconciled.plan)]),
    ]);
    return;
  }
  if (flags.detach === true || flags.wait === true || flags.noStart === true) {
    await converge(context, project, options);
    return;
  }
  const { upAttached } = await import("../up-attached.ts");
  await upAttached(app, { context, project, options, flags, services });
}

function checkFlags(flags: UpFlags): void {
  const given = {
    "--abort-on-container-exit": flags.abortOnContainerExit === true,
    "--abort-on-container-failure": flags.abortOnContainerFailure === true,
    "--attach": flags.attach.length > 0,
    "--attach-dependencies": flags.attachDependencies === true,
    "--always-recreate-deps": flags.alwaysRecreateDeps === true,
    "--build": flags.build === true,
    "--no-build": flags.noBuild === true,
    "--detach": flags.detach === true,
    "--exit-code-from": flags.exitCodeFrom !== undefined,
    "--force-recreate": flags.forceRecreate === true,
    "--no-recreate": flags.noRecreate === true,
    "--renew-anon-volumes": flags.renewAnonVolumes === true,
    "--wait": flags.wait === true,
  };
  exclusive(given, [
    ...["--wait", "--detach"].flatMap((flag) =>
      [
        "--abort-on-container-exit",
        "--abort-on-container-failure",
        "--attach",
        "--attach-dependencies",
        "--exit-code-from",
      ].map((other) => [flag, other]),
    ),
    ["--build", "--no-build"],
    ["--force-recreate", "--no-recreate"],
    ["--renew-anon-volumes", "--no-recreate"],
    ["--always-recreate-deps", "--no-recreate"],
    ["--abort-on-container-exit", "--abort-on-container-failure"],
    ["--attach", "--attach-dependencies"],
  ]);
}

function convergeOptions(
  flags: UpFlags,
  services: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ConvergeOptions {
  const recreate = flags.forceRecreate === true ? "always" : flags.noRecreate === true ? "never" : "diverged";
  const removeOrphans = flags.removeOrphans ?? isTrue(environment["COMPOSE_REMOVE_ORPHANS"]);
  const ignoreOrphans = isTrue(environment["COMPOSE_IGNORE_ORPHANS"]);
  if (removeOrphans && ignoreOrphans) {
    throw new TscomposeError("compose/usage", "COMPOSE_IGNORE_ORPHANS and --remove-orphans cannot be combined");
  }
  const reconcile: ReconcileOptions = {
    ...defaultReconcileOptions,
    recreate: flags.renewAnonVolumes === true && recreate === "diverged" ? "always" : recreate,
    recreateDependencies:
      flags.alwaysRecreateDeps === true ? "always" : flags.noRecreate === true ? "never" : "diverged",
    services,
    start: flags.noStart !== true,
    wait: flags.wait === true,
    orphans: removeOrphans ? "remove" : ignoreOrphans ? "ignore" : "warn",
    keepAnonymousVolumes: flags.renewAnonVolumes !== true,
    stopTimeoutSeconds: timeoutSeconds(flags.timeout),
  };
  return {
    reconcile,
    pull: pullOverride(flags.pull),
    build: flags.build === true ? "always" : flags.noBuild === true ? "never" : "missing",
    layerProgress: flags.quietPull !== true,
    assumeYes: flags.yes === true,
    waitTimeoutSeconds: flags.wait === true ? waitTimeout(flags.waitTimeout) : undefined,
  };
}

export function pullOverride(text: string): PullOverride {
  const known = oneOf(text, ["policy", "always", "missing", "never", "build", "if_not_present"], "--pull");
  return known === "if_not_present" ? "missing" : known;
}
