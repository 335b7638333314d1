/** The container verbs of the engine API, over the records. What streams data is added by the composition root. */
import { realtimeNs } from "../../host/clock.ts";
import { isTscomposeError } from "../../errors.ts";
import type { CommitOptions, ContainerListOptions, ContainerService, WaitCondition, WaitResult } from "../engine.ts";
import type {
  ContainerCreateBody,
  ContainerCreateResult,
  ContainerInspect,
  ContainerSummary,
  Filters,
  HostConfig,
  Resources,
  RestartPolicy,
} from "../types.ts";
import { directorySize } from "../volumes/directory-size.ts";
import { commitContainer } from "./commit.ts";
import { appArmorProfileOf } from "../runtime/apparmor.ts";
import { parseSecurityOptions } from "../runtime/security-options.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { createContainer } from "./create/create.ts";
import { inspectContainer } from "./inspect.ts";
import { withKernelLimits } from "./kernel-limits.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { selectContainers, summarise, type ListFacts } from "./list.ts";
import type { NetworkLookup } from "./network-settings.ts";
import { pruneContainers } from "./prune.ts";
import { renameContainer } from "./rename.ts";
import { cgroupPathOf } from "./cgroup-place.ts";
import type { StopOptions } from "./stop.ts";
import { updateContainer } from "./update.ts";
import { waitFor } from "./wait.ts";

export type ContainerVerbs = Pick<
  ContainerService,
  | "create"
  | "list"
  | "inspect"
  | "start"
  | "stop"
  | "restart"
  | "kill"
  | "pause"
  | "unpause"
  | "rename"
  | "update"
  | "wait"
  | "remove"
  | "commit"
  | "prune"
>;

export class Containers implements ContainerVerbs {
  readonly #ctx: ContainerContext;
  readonly #lifecycle: Lifecycle;

  constructor(ctx: ContainerContext, lifecycle: Lifecycle) {
    this.#ctx = ctx;
    this.#lifecycle = lifecycle;
  }

  create(
    name: string | undefined,
    body: ContainerCreateBody,
    options: { readonly platform: string | undefined },
  ): Promise<ContainerCreateResult> {
    return createContainer(this.#ctx, { name, body, platform: options.platform });
  }

  async list(options: ContainerListOptions): Promise<readonly ContainerSummary[]> {
    const facts = this.#listFacts();
    const records = this.#ctx.registry.all().map(({ record }) => record);
    const summaries = selectContainers(records, options, facts).map((record) => summarise(record, facts));
    if (!options.size) return summaries;
    return Promise.all(
      summaries.map(async (summary) => {
        const sizes = await this.#sizes(this.#ctx.registry.resolve(summary.Id));
        return { ...summary, SizeRw: sizes.rw, SizeRootFs: sizes.rootFs };
      }),
    );
  }

  async inspect(ref: string, options: { readonly size: boolean }): Promise<ContainerInspect> {
    const container = this.#resolve(ref);
    return inspectContainer(container, {
      lookup: this.#lookup,
      lowerDirs: this.#lowerDirs(container),
      hostConfig: this.#limitsOf(container),
      appArmorProfile: this.#appArmorOf(container),
      sizes: options.size ? await this.#sizes(container) : undefined,
    });
  }

  #appArmorOf({ record }: Container): string {
    const { Privileged, SecurityOpt } = record.hostConfig;
    const { appArmor } = parseSecurityOptions(SecurityOpt ?? []);
    return appArmorProfileOf(this.#ctx.host, Privileged === true, appArmor) ?? "";
  }

  #limitsOf(container: Container): HostConfig {
    const { hostConfig } = container.record;
    if (!container.alive) return hostConfig;
    return withKernelLimits(hostConfig, this.#ctx.host.cgroup, cgroupPathOf(this.#ctx, container));
  }

  async start(ref: string): Promise<void> {
    await this.#lifecycle.start(this.#resolve(ref));
  }

  async stop(ref: string, options: StopOptions): Promise<string | undefined> {
    return this.#lifecycle.stop(this.#resolve(ref), options);
  }

  async restart(ref: string, options: StopOptions): Promise<string | undefined> {
    return this.#lifecycle.restart(this.#resolve(ref), options);
  }

  async kill(ref: string, signal: string | undefined): Promise<void> {
    await this.#lifecycle.kill(this.#resolve(ref), signal);
  }

  async pause(ref: string): Promise<void> {
    await this.#lifecycle.pause(this.#resolve(ref));
  }

  async unpause(ref: string): Promise<void> {
    await this.#lifecycle.unpause(this.#resolve(ref));
  }

  async rename(ref: string, name: string): Promise<void> {
    const container = this.#resolve(ref);
    await container.exclusively(async () => Promise.resolve(renameContainer(this.#ctx, container, name)));
  }

  async update(
    ref: string,
    changes: Resources & { readonly RestartPolicy?: RestartPolicy },
  ): Promise<{ readonly Warnings: readonly string[] }> {
    const container = this.#resolve(ref);
    return container.exclusively(() => updateContainer(this.#ctx, container, changes));
  }

  async wait(ref: string, condition: WaitCondition): Promise<{ readonly result: Promise<WaitResult> }> {
    return Promise.resolve({ result: waitFor(this.#resolve(ref), condition) });
  }

  async remove(
    ref: string,
    options: { readonly force: boolean; readonly volumes: boolean; readonly link: boolean },
  ): Promise<void> {
    await this.#lifecycle.remove(this.#resolve(ref), options);
  }

  async commit(ref: string, options: CommitOptions): Promise<{ readonly Id: string }> {
    const container = this.#resolve(ref);
    const work = (): Promise<{ readonly Id: string }> => commitContainer(this.#ctx, container, options);
    return options.pause ? this.#lifecycle.whileStill(container, work) : work();
  }

  async prune(
    filters: Filters,
  ): Promise<{ readonly ContainersDeleted: readonly string[]; readonly SpaceReclaimed: number }> {
    return pruneContainers(this.#ctx, this.#lifecycle, filters);
  }

  #resolve(ref: string): Container {
    return this.#ctx.registry.resolve(ref);
  }

  /** None for an image that is gone from the store. */
  #lowerDirs(container: Container): readonly string[] {
    try {
      return this.#ctx.rootfs.lowerDirs(container);
    } catch (error) {
      if (isTscomposeError(error, "image/not-found")) return [];
      throw error;
    }
  }

  readonly #lookup: NetworkLookup = (ref) => {
    try {
      const network = this.#ctx.networking.inspect(ref);
      return { id: network.Id, name: network.Name, predefined: network.Name === "bridge" };
    } catch (error) {
      if (isTscomposeError(error, "network/not-found")) return undefined;
      throw error;
    }
  };

  #listFacts(): ListFacts {
    const { registry, images, networking } = this.#ctx;
    return {
      nowNs: realtimeNs(),
      lookup: this.#lookup,
      faultsOf: (id) => networking.faults.of(id),
      ancestors: (ref) => {
        try {
          return [images.resolve(ref).id];
        } catch (error) {
          if (isTscomposeError(error, "image/not-found")) return [];
          throw error;
        }
      },
      createdOf: (ref) => registry.resolve(ref).record.created,
    };
  }

  async #sizes(container: Container): Promise<{ readonly rw: number; readonly rootFs: number }> {
    const rw = await directorySize(container.paths.upper);
    return { rw, rootFs: rw + this.#ctx.images.resolve(container.record.imageId).sizeBytes };
  }
}
