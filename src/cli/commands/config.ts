import { writeFile } from "node:fs/promises";
import type { Command } from "commander";

import {
  configEnvironment,
  configHashes,
  type ConfigList,
  type ConfigRequest,
  configVariables,
  explainConfig,
  formatExplanation,
  listConfig,
  renderConfig,
} from "../../compose/config.ts";
import { isTscomposeError } from "../../errors.ts";
import type { Diagnostic } from "../../spec/diagnostic.ts";
import { formatDiagnostic } from "../../spec/format-diagnostic.ts";
import type { SkippablePhase } from "../../spec/load-options.ts";

import { loadOptions, type App } from "../app.ts";
import { createCommandFileSource } from "../file-source.ts";
import { oneOf } from "../option-values.ts";
import { formatTable, wideStyle } from "../output/table.ts";
import { plainNo } from "../plain-no.ts";
import type { RunCommand } from "../program.ts";

interface ConfigFlags {
  readonly allResources?: boolean;
  readonly diagnostics: string;
  readonly environment?: boolean;
  readonly explain?: string;
  readonly format: string;
  readonly hash?: string;
  readonly images?: boolean;
  readonly lockImageDigests?: boolean;
  readonly models?: boolean;
  readonly networks?: boolean;
  readonly noConsistency?: boolean;
  readonly noEnvResolution?: boolean;
  readonly noInterpolate?: boolean;
  readonly noNormalize?: boolean;
  readonly noPathResolution?: boolean;
  readonly output?: string;
  readonly profiles?: boolean;
  readonly quiet?: boolean;
  readonly resolveImageDigests?: boolean;
  readonly services?: boolean;
  readonly variables?: boolean;
  readonly volumes?: boolean;
}

export function configure(command: Command, run: RunCommand): void {
  command
    .argument("[services...]", "only these and what they depend on")
    .option("--all-resources", "networks, volumes and the like that no service uses, too")
    .option("--diagnostics <format>", "how problems of the files are printed: text, json, sarif", "text")
    .option("--environment", "print the variables that the files are answered from")
    .option("--explain <path>", "say where a value comes from: services.web.image")
    .option("--format <format>", "yaml or json", "yaml")
    .option("--hash <services>", "print the hash of services: * or names with commas")
    .option("--images", "print the images")
    .option("--lock-image-digests", "print an override file with the digests of the images")
    .option("--models", "print the models")
    .option("--networks", "print the networks")
    .addOption(plainNo("--no-consistency", "do not check that the parts fit together"))
    .addOption(plainNo("--no-env-resolution", "leave env_file as it is"))
    .addOption(plainNo("--no-interpolate", "leave variables as they are"))
    .addOption(plainNo("--no-normalize", "leave defaults out"))
    .addOption(plainNo("--no-path-resolution", "leave paths as they are"))
    .option("-o, --output <file>", "write to a file")
    .option("--profiles", "print the profiles")
    .option("-q, --quiet", "only check")
    .option("--resolve-image-digests", "pin images to digests")
    .option("--services", "print the services")
    .option("--variables", "print the variables that the files mention")
    .option("--volumes", "print the volumes")
    .action((services: readonly string[], flags: ConfigFlags) => run((app) => runConfig(app, services, flags)));
}

type DiagnosticStyle = "text" | "json" | "sarif";

async function runConfig(app: App, services: readonly string[], flags: ConfigFlags): Promise<void> {
  const format = oneOf(flags.format, ["yaml", "json"], "--format");
  const style = oneOf(flags.diagnostics, ["text", "json", "sarif"], "--diagnostics");
  const prune = flags.allResources === true ? "nothing" : "unused";
  const load = { ...loadOptions(app.globals, app.terminal, { services, prune }), without: phasesWithout(app, flags) };
  const request: ConfigRequest = { load, files: createCommandFileSource() };
  const text = await orDiagnostics(app, style, () => configText(app, { request, flags, format, style }));
  if (flags.quiet === true) return;
  if (flags.output === undefined) app.terminal.stdout.write(text);
  else await writeFile(flags.output, text);
}

/** Problems of the files go to standard output where a machine asked for them, and are reported as ever after that. */
async function orDiagnostics<T>(app: App, style: DiagnosticStyle, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (style !== "text" && isTscomposeError(error, "spec/invalid")) {
      const { diagnostics } = error.details;
      await writeDiagnostics(app, Array.isArray(diagnostics) ? (diagnostics as readonly Diagnostic[]) : [], style);
    }
    throw error;
  }
}

async function writeDiagnostics(app: App, diagnostics: readonly Diagnostic[], style: "json" | "sarif"): Promise<void> {
  const [{ toSarif }, { version }] = await Promise.all([import("../../spec/sarif.ts"), import("../version.ts")]);
  const value = style === "json" ? diagnostics : toSarif(diagnostics, version);
  app.terminal.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

interface Asked {
  readonly request: ConfigRequest;
  readonly flags: ConfigFlags;
  readonly format: "yaml" | "json";
  readonly style: DiagnosticStyle;
}

/** The first of the selecting flags wins, in Docker Compose's order. */
async function configText(app: App, { request, flags, format, style }: Asked): Promise<string> {
  if (flags.explain !== undefined) return formatExplanation(await explainConfig(request, flags.explain));
  for (const list of ["services", "volumes", "networks", "models"] as const) {
    if (flags[list] === true) return await listText(request, list);
  }
  if (flags.hash !== undefined)
    return textOf((await configHashes(request, flags.hash)).map(({ service, hash }) => `${service} ${hash}`));
  for (const list of ["profiles", "images"] as const) if (flags[list] === true) return await listText(request, list);
  if (flags.variables === true) return await variablesText(request, format);
  if (flags.environment === true) return textOf(await configEnvironment(request));
  const pins = flags.resolveImageDigests === true || flags.lockImageDigests === true;
  const { text, diagnostics } = await renderConfig({
    ...request,
    format,
    ...(pins ? { resolveDigest: await digestResolver(app) } : {}),
    ...(flags.lockImageDigests === true ? { lockOnly: true } : {}),
  });
  // With a model to print, only `-q` leaves standard output to the diagnostics.
  if (style === "text") for (const diagnostic of diagnostics) app.warn(formatDiagnostic(diagnostic));
  else if (flags.quiet === true) await writeDiagnostics(app, diagnostics, style);
  return text;
}

async function listText(request: ConfigRequest, list: ConfigList): Promise<string> {
  return textOf(await listConfig(request, list));
}

async function variablesText(request: ConfigRequest, format: "yaml" | "json"): Promise<string> {
  const variables = await configVariables(request);
  if (format === "json") {
    const named = variables.map(({ name, defaultValue, presenceValue, required }) => {
      return [name, { Name: name, DefaultValue: defaultValue, PresenceValue: presenceValue, Required: required }];
    });
    return `${JSON.stringify(Object.fromEntries(named))}\n`;
  }
  const cells = variables.map((variable) => {
    const { name, required, defaultValue, presenceValue } = variable;
    return [name, String(required), defaultValue, presenceValue];
  });
  return textOf(formatTable(["NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"], cells, wideStyle));
}

function textOf(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join("");
}

/** Asks the registry through the engine. @throws registry/failed */
async function digestResolver(app: App): Promise<(image: string) => Promise<string>> {
  const docker = await app.docker();
  const [{ registryCredentials }, { registryOf }] = await Promise.all([
    import("../registry-credentials.ts"),
    import("../../compose/pull-image.ts"),
  ]);
  return async (image) => {
    const credentials = await registryCredentials(app.terminal.environment, registryOf(image));
    const authentication = credentials === undefined ? {} : { authconfig: credentials };
    const found = await docker.getImage(image).distribution({ abortSignal: app.signal, ...authentication });
    return found.Descriptor.digest;
  };
}

function phasesWithout(app: App, flags: ConfigFlags): ReadonlySet<SkippablePhase> {
  const phases: readonly (readonly [boolean | undefined, SkippablePhase])[] = [
    [flags.noConsistency, "consistency"],
    [flags.noEnvResolution, "env-files"],
    [flags.noInterpolate, "interpolation"],
    [flags.noNormalize === true || app.globals.compatibility, "normalization"],
    [flags.noPathResolution, "path-resolution"],
  ];
  return new Set(phases.filter(([given]) => given === true).map(([, phase]) => phase));
}
