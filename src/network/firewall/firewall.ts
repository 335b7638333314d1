/** The firewall of one engine: owners set their rules, changes that come while a restore runs go into the next one. What it
 *  believes to be in the kernel is checked against the kernel when a change is refused and when something else changed rules. */
import { errorMessage } from "../../errors.ts";
import { restoreRules, saveRules } from "../../host/iptables.ts";
import { readSysctl, writeSysctl } from "../../host/sysctl.ts";
import type { Subnet } from "../cidr.ts";
import type { EngineTag } from "../names.ts";
import { closeForwarding, parseSaved, renderChange, renderFarewell, renderRepair, type SavedRules } from "./render.ts";
import { forwardingMarker, skeletonRules, type Chain, type Rule, type RuleFamily, type Table } from "./rules.ts";

export interface FirewallOptions {
  readonly tag: EngineTag;
  readonly pools: readonly Subnet[];
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

const forwardingKeys: Readonly<Record<RuleFamily, string>> = {
  4: "net.ipv4.ip_forward",
  6: "net.ipv6.conf.all.forwarding",
};
const families: readonly RuleFamily[] = [4, 6];
const keyOf = (rule: Rule): string => `${rule.family} ${rule.table} ${rule.chain} ${rule.spec}`;

export class Firewall {
  readonly #options: FirewallOptions;
  /** What each owner wants. */
  readonly #wanted = new Map<string, readonly Rule[]>();
  /** What each owner has in the kernel. */
  readonly #applied = new Map<string, readonly Rule[]>();
  readonly #dirty = new Set<string>();
  /** Families whose chains are in the kernel. */
  readonly #installed = new Set<RuleFamily>();
  /** Families whose forwarding was off before the first of our engines came. */
  readonly #forwardingOurs = new Set<RuleFamily>();
  #checkWanted = false;
  #listener: (active: boolean) => void = () => undefined;
  #wasActive = false;
  #running: Promise<boolean> | undefined;
  #next: Promise<boolean> | undefined;

  constructor(options: FirewallOptions) {
    this.#options = options;
  }

  /** Replaces the rules of `owner`; none: the owner goes. Resolves when the kernel has them.
   *  @throws host/command-failed: then the rules of this owner are not in force, and it has to be set again or removed */
  async set(owner: string, rules: readonly Rule[]): Promise<void> {
    await this.setAll([[owner, rules]]);
  }

  /** Several owners in one change. @throws host/command-failed, as `set` */
  async setAll(changes: readonly (readonly [owner: string, rules: readonly Rule[]])[]): Promise<void> {
    let changed = false;
    for (const [owner, rules] of changes) {
      if (rules.length === 0) this.#wanted.delete(owner);
      else this.#wanted.set(owner, rules);
      if (rules.length === 0 && !this.#applied.has(owner) && !this.#dirty.has(owner)) continue;
      this.#dirty.add(owner);
      changed = true;
    }
    if (changed) await this.#pass();
  }

  async remove(owner: string): Promise<void> {
    await this.set(owner, []);
  }

  /** Rules of owners that were there before this engine started, so that the first check compares with them. */
  adopt(owner: string, rules: readonly Rule[]): void {
    if (rules.length > 0) this.#wanted.set(owner, rules);
  }

  /** Compares the kernel with what is wanted and repairs it. @returns true when something had to be done */
  async check(): Promise<boolean> {
    this.#checkWanted = true;
    return await this.#pass();
  }

  /** True while a change or a check is under way. */
  get busy(): boolean {
    return this.#running !== undefined;
  }

  /** Calls back when the first rule is in the kernel, and when the last one has gone. */
  onActive(listener: (active: boolean) => void): void {
    this.#listener = listener;
  }

  /** How many rules the chains should have; undefined while that is changing, or when the family has none. */
  chainSizes(
    family: RuleFamily,
    chains: readonly { readonly table: Table; readonly chain: Chain }[],
  ): readonly number[] | undefined {
    if (this.busy || this.#dirty.size > 0 || !this.#installed.has(family)) return undefined;
    const rules = [
      ...skeletonRules(this.#options.tag, family, this.#options.pools),
      ...[...this.#applied.values()].flat(),
    ];
    return chains.map(
      ({ table, chain }) =>
        rules.filter((rule) => rule.family === family && rule.table === table && rule.chain === chain).length,
    );
  }

  /** Resolves when no change is under way. */
  async settled(): Promise<void> {
    await this.#running?.catch(() => undefined);
  }

  /** One run at a time; all that come while one runs share the next. */
  async #pass(): Promise<boolean> {
    if (this.#running === undefined) {
      this.#running = this.#run();
      return await this.#running;
    }
    this.#next ??= this.#afterwards(this.#running);
    return await this.#next;
  }

  async #afterwards(running: Promise<boolean>): Promise<boolean> {
    await running.catch(() => undefined);
    this.#next = undefined;
    return await this.#pass();
  }

  async #run(): Promise<boolean> {
    try {
      const needed = new Set([...this.#wanted.values()].flat().map(({ family }) => family));
      const growing = families.filter((family) => needed.has(family) !== this.#installed.has(family));
      if (this.#checkWanted) {
        this.#checkWanted = false;
        return await this.#repair(families);
      }
      if (growing.length > 0) return await this.#repair(growing.length === 1 ? [...needed, ...growing] : families);
      await this.#applyDirty();
      return false;
    } finally {
      this.#running = undefined;
      const active = this.#installed.size > 0;
      if (active !== this.#wasActive) {
        this.#wasActive = active;
        this.#listener(active);
      }
    }
  }

  async #applyDirty(): Promise<void> {
    const remove: Rule[] = [];
    const add: Rule[] = [];
    for (const owner of this.#dirty) {
      const [before, after] = [this.#applied.get(owner) ?? [], this.#wanted.get(owner) ?? []];
      const [had, has] = [new Set(before.map(keyOf)), new Set(after.map(keyOf))];
      remove.push(...before.filter((rule) => !has.has(keyOf(rule))));
      add.push(...after.filter((rule) => !had.has(keyOf(rule))));
      if (after.length === 0) this.#applied.delete(owner);
      else this.#applied.set(owner, after);
    }
    this.#dirty.clear();
    if (remove.length + add.length === 0) return;
    try {
      await Promise.all(families.map((family) => this.#change(family, { remove, add })));
    } catch (error) {
      this.#options.log("warn", `a firewall change was refused, checking all rules: ${errorMessage(error)}`);
      await this.#repair(families);
    }
  }

  async #change(
    family: RuleFamily,
    change: { readonly remove: readonly Rule[]; readonly add: readonly Rule[] },
  ): Promise<void> {
    const mine = (rules: readonly Rule[]): readonly Rule[] => rules.filter((rule) => rule.family === family);
    const text = renderChange(this.#options.tag, { remove: mine(change.remove), add: mine(change.add) });
    if (text !== "") await restoreRules(family, text);
  }

  async #repair(which: Iterable<RuleFamily>): Promise<boolean> {
    this.#dirty.clear();
    this.#applied.clear();
    for (const [owner, rules] of this.#wanted) this.#applied.set(owner, rules);
    const done = await Promise.all([...new Set(which)].map((family) => this.#repairFamily(family)));
    return done.some(Boolean);
  }

  async #repairFamily(family: RuleFamily): Promise<boolean> {
    const { tag, pools } = this.#options;
    const own = [...this.#wanted.values()].flat().filter((rule) => rule.family === family);
    const saved = parseSaved(await saveRules(family));
    const rules = own.length === 0 ? [] : [...skeletonRules(tag, family, pools), ...own];
    const text = renderRepair(saved, { tag, family, rules });
    if (own.length === 0) {
      await this.#sayFarewell(family, text);
      return text !== "";
    }
    const off = readSysctl(forwardingKeys[family]) === "0";
    const closing = off || this.#hasLostMarker(family, saved) ? closeForwarding : "";
    if (text + closing !== "") await restoreRules(family, closing + text);
    if (off) writeSysctl(forwardingKeys[family], "1");
    if (closing !== "") this.#forwardingOurs.add(family);
    this.#installed.add(family);
    return text + closing !== "";
  }

  /** Somebody flushed the marker away: with it went the DROP that makes up for the forwarding that we turned on. */
  #hasLostMarker(family: RuleFamily, saved: SavedRules): boolean {
    const marked = saved.policies.has(`filter/${forwardingMarker}`);
    if (marked) this.#forwardingOurs.add(family);
    return !marked && this.#forwardingOurs.has(family);
  }

  async #sayFarewell(family: RuleFamily, removal: string): Promise<void> {
    if (removal !== "") await restoreRules(family, removal);
    this.#installed.delete(family);
    this.#forwardingOurs.delete(family);
    const { text, forwardingWasOurs } = renderFarewell(parseSaved(await saveRules(family)), this.#options.tag);
    if (forwardingWasOurs) writeSysctl(forwardingKeys[family], "0");
    if (text !== "") await restoreRules(family, text);
  }
}
