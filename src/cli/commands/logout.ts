import type { Command } from "commander";

import { registryDomain } from "../../engine/images/registry/log-in.ts";

import type { RunCommand } from "../program.ts";
import { eraseCredentials, serverAddress } from "../registry-credentials.ts";

export function configure(command: Command, run: RunCommand): void {
  command.argument("[server]", "host of the registry; default: Docker Hub").action((server: string | undefined) =>
    run(async (app) => {
      const registry = registryDomain(server);
      const known = await eraseCredentials(app.terminal.environment, registry);
      const name = serverAddress(registry);
      app.terminal.stdout.write(known ? `Removing login credentials for ${name}\n` : `Not logged in to ${name}\n`);
    }),
  );
}
