/** What a command needs, made when it first asks for it: the engine, the project, progress. The composition root of the process. */
import type { Docker } from "../client/docker.ts";
import { usesApiSocket, withApiSocket } from "../compose/api-socket.ts";
import type { ComposeContext, ProjectReference } from "../compose/context.ts";
import { TscomposeError } from "../errors.ts";
import type { LoadOptions } from "../spec/load-options.ts";
import type { Project } from "../spec/model.ts";
import type { SupportedCommand } from "../spec/support.ts";

import { connect } from "./connect.ts";
import type { Globals } from "./globals.ts";
import { localFolder, newFolder } from "./local-folder.ts";
import { createProgress, type Progress } from "./progress/progress.ts";
import type { Terminal } from "./terminal.ts";

export interface App {
  readonly globals: Globals;
  readonly terminal: Terminal;
  /** Fires at the first Ctrl-C, unless `onInterrupt` takes it over. */
  readonly signal: AbortSignal;
  /** The handler gets the number of interrupts so far. */
  onInterrupt(handler: (count: number) => void): void;
  docker(): Promise<Docker>;
  loadProject(options?: ProjectSelection): Promise<Project>;
  /** `labels`: with `-p` and without a file the model is not loaded. `name`: nor is it where the environment names the project. */
  reference(need: "labels" | "name"): Promise<ProjectReference>;
  context(options?: ContextOptions): Promise<AppContext>;
  warn(message: string): void;
  /** Ends what is open: the progress view, connections. */
  close(): Promise<void>;
}

export interface AppContext extends ComposeContext {
  readonly progress: Progress;
}

export interface ProjectSelection {
  readonly services?: readonly string[];
  readonly dependencies?: "include" | "ignore";
  readonly prune?: "unused" | "nothing";
  /** What is going to be made of the model: keys that it cannot honour are refused. */
  readonly command?: SupportedCommand;
}

export interface ContextOptions {
  readonly quiet?: boolean;
  readonly signal?: AbortSignal;
}

export interface AppInput {
  readonly globals: Globals;
  readonly terminal: Terminal;
  readonly signal: AbortSignal;
  readonly onInterrupt: (handler: (count: number) => void) => void;
}

export function createApp({ globals, terminal, signal, onInterrupt }: AppInput): App {
  let engine: Promise<Docker> | undefined;
  const views: Progress[] = [];
  const docker = (): Promise<Docker> => (engine ??= connect(globals, terminal.environment, signal));
  const warn = (message: string): void => {
    for (const view of views) view.pause();
    terminal.stderr.write(`warning: ${message}\n`);
  };
  const loadProject = async (selection: ProjectSelection = {}): Promise<Project> => {
    const { load } = await import("./load.ts");
    const project = await load(loadOptions(globals, terminal, selection), warn, selection.command);
    if (selection.command !== "up" || !usesApiSocket(project)) return project;
    const { apiAccess } = await import("./api-access.ts");
    return withApiSocket(project, await apiAccess(globals, terminal.environment));
  };
  return {
    globals,
    terminal,
    signal,
    onInterrupt,
    docker,
    loadProject,
    warn,
    reference: async (need) => {
      const named = globals.projectName ?? (need === "name" ? terminal.environment["COMPOSE_PROJECT_NAME"] : undefined);
      if (named !== undefined && named !== "" && globals.files.length === 0)
        return { name: checkName(named), project: undefined };
      try {
        const project = await loadProject({ prune: "nothing" });
        return { name: project.name, project };
      } catch (error) {
        const fallback = terminal.environment["COMPOSE_PROJECT_NAME"];
        if (fallback === undefined || fallback === "") throw error;
        return { name: checkName(fallback), project: undefined };
      }
    },
    context: async (options = {}) => {
      const { createProjectLock } = await import("./project-lock.ts");
      const progress = createProgress({ globals, terminal, quiet: options.quiet ?? false });
      views.push(progress);
      return {
        docker: await docker(),
        signal: options.signal ?? signal,
        engineReturns: globals.host === undefined || globals.host === "",
        concurrency: globals.concurrency,
        onProgress: progress.show,
        onWarning: warn,
        lockProject: createProjectLock(terminal.environment, warn),
        confirm: async (question) => {
          progress.pause();
          const { confirm } = await import("./confirm.ts");
          return await confirm(terminal, question);
        },
        credentials: async (registry) => {
          const { registryCredentials } = await import("./registry-credentials.ts");
          return await registryCredentials(terminal.environment, registry);
        },
        proxyArguments: async () => {
          const { proxyArguments } = await import("./registry-credentials.ts");
          return await proxyArguments(terminal.environment, globals.host);
        },
        packContext: async (request) => {
          const { packContext } = await import("./pack-context.ts");
          return await packContext(request);
        },
        localFolder,
        newFolder,
        packLayout: async function* (directory, name) {
          const { packLayout } = await import("./pack-layout.ts");
          yield* packLayout(directory, name);
        },
        sshAgents: async (sources) => {
          if (sources.length === 0) return { sockets: {}, close: () => undefined };
          const { sshAgents } = await import("./ssh-agents.ts");
          return await sshAgents(sources, terminal.environment);
        },
        readSecrets: async (secrets) => {
          const { readSecrets } = await import("./read-secrets.ts");
          return await readSecrets(secrets, terminal.environment);
        },
        progress,
      };
    },
    close: async () => {
      await Promise.all(views.map((view) => view.end()));
      // One that could not be reached has nothing to close, and was reported by whoever asked.
      await engine?.then(
        (client) => client.close(),
        () => undefined,
      );
    },
  };
}

export function loadOptions(globals: Globals, terminal: Terminal, selection: ProjectSelection): LoadOptions {
  const { services = [], dependencies = "include", prune = "unused" } = selection;
  return {
    cwd: terminal.cwd,
    environment: terminal.environment,
    home: terminal.environment["HOME"],
    files: globals.files,
    projectDirectory: globals.projectDirectory,
    projectName: globals.projectName,
    profiles: globals.profiles,
    envFiles: globals.envFiles,
    services,
    dependencies,
    prune,
    compatibility: globals.compatibility,
    strict: globals.strict,
  };
}

/** @throws compose/usage. Source: compose-go `cli/options.go`, project name rules. */
function checkName(name: string): string {
  if (/^[a-z0-9][a-z0-9_-]*$/.test(name)) return name;
  throw new TscomposeError(
    "compose/usage",
    `invalid project name "${name}": it may only have lower-case letters, digits, hyphens and underscores, and starts with a letter or digit`,
  );
}
