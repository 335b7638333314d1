/** Network namespaces of RUN steps. Making one and connecting it costs more than a short program takes, so a step gives its own to
 *  the next one; all are gone when no build runs any more. A program of a step cannot leave anything in one: it is dead when the
 *  step is over, and has no rights over links, addresses and rules. Those of steps with more rights are used once. */
import { closeSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { errorMessage } from "../../../errors.ts";
import { createNetns } from "../../../host/netns.ts";
import { UndoStack } from "../../../host/undo-stack.ts";
import { plainRequest } from "../../../network/endpoint-links.ts";
import type { ContainerContext } from "../../containers/context.ts";
import { defaultNetworkSysctls } from "../../containers/network-plan.ts";

export interface RunNetwork {
  /** Path of the namespace. */
  readonly namespace: string;
  readonly hosts: string;
  readonly resolvConf: string;
}

export interface LeasedNetwork extends RunNetwork {
  release(): Promise<void>;
}

interface Sandbox extends RunNetwork {
  readonly undo: UndoStack;
}

/** Name of the machine that programs of a build see, as with BuildKit. */
export const sandboxName = "buildkitsandbox";

export class RunNetworks {
  readonly #engine: ContainerContext;
  /** By extra hosts, which are a part of the hosts file. */
  readonly #idle = new Map<string, Sandbox[]>();
  #builds = 0;

  constructor(engine: ContainerContext) {
    this.#engine = engine;
  }

  /** A build begins. @returns to be called at its end */
  begin(): () => void {
    this.#builds += 1;
    let open = true;
    return () => {
      if (!open) return;
      open = false;
      this.#builds -= 1;
      if (this.#builds === 0) this.#closeIdle();
    };
  }

  /** One that nobody else has. `use`: "once" for a program that may change it. */
  async lease(extraHosts: readonly string[], use: "once" | "shared"): Promise<LeasedNetwork> {
    const key = JSON.stringify(extraHosts);
    const idle = use === "shared" ? this.#idle.get(key)?.pop() : undefined;
    const sandbox = idle ?? (await this.#make(extraHosts));
    return {
      namespace: sandbox.namespace,
      hosts: sandbox.hosts,
      resolvConf: sandbox.resolvConf,
      release: async () => {
        if (use === "once" || this.#builds === 0) await this.#close(sandbox);
        else this.#idle.set(key, [...(this.#idle.get(key) ?? []), sandbox]);
      },
    };
  }

  async #make(extraHosts: readonly string[]): Promise<Sandbox> {
    const { networking } = this.#engine;
    const undo = new UndoStack();
    try {
      const id = randomBytes(32).toString("hex");
      const netnsFd = createNetns();
      undo.defer("network namespace", () => closeSync(netnsFd));
      const state = await networking.setupSandbox({
        containerId: id,
        containerName: `build-${id.slice(0, 12)}`,
        hostname: sandboxName,
        netnsFd,
        endpoints: [plainRequest(networking.inspect("bridge").Id)],
        previous: [],
        ports: [],
        dns: { servers: [], search: [], options: [] },
        extraHosts,
        sysctls: defaultNetworkSysctls,
      });
      undo.defer("network", () => networking.teardownSandbox(id));
      const namespace = `/proc/${process.pid}/fd/${netnsFd}`;
      return { namespace, hosts: state.hostsFile, resolvConf: state.resolvConf, undo };
    } catch (error) {
      await this.#undo(undo);
      throw error;
    }
  }

  #closeIdle(): void {
    const sandboxes = [...this.#idle.values()].flat();
    this.#idle.clear();
    for (const sandbox of sandboxes) void this.#close(sandbox);
  }

  async #close(sandbox: Sandbox): Promise<void> {
    await this.#undo(sandbox.undo);
  }

  async #undo(undo: UndoStack): Promise<void> {
    for (const problem of await undo.run())
      this.#engine.log("warn", `the network of a build step: ${errorMessage(problem)}`);
  }
}
