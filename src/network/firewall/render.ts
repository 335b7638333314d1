/** Rules as text for iptables-restore, and what iptables-save printed read back. Pure. */
import type { EngineTag } from "../names.ts";
import {
  chainName,
  chainsIn,
  forwardingMarker,
  jumps,
  tables,
  userChain,
  type Rule,
  type RuleFamily,
  type Table,
} from "./rules.ts";

/** Changes to rules that are there, in as few lines as possible. Deletions first: a port may move between containers. */
export function renderChange(
  tag: EngineTag,
  change: { readonly remove: readonly Rule[]; readonly add: readonly Rule[] },
): string {
  const lines = (rules: readonly Rule[], table: Table, verb: "-A" | "-D"): readonly string[] =>
    rules.filter((rule) => rule.table === table).map(({ chain, spec }) => `${verb} ${chainName(tag, chain)} ${spec}`);
  return tables
    .map((table) => ({ table, body: [...lines(change.remove, table, "-D"), ...lines(change.add, table, "-A")] }))
    .filter(({ body }) => body.length > 0)
    .map(({ table, body }) => section(table, body))
    .join("");
}

const section = (table: string, body: readonly string[]): string => `*${table}\n${body.join("\n")}\nCOMMIT\n`;

/** What iptables-save printed. */
export interface SavedRules {
  /** `table/chain` -> policy; "-" for chains that somebody made. */
  readonly policies: ReadonlyMap<string, string>;
  /** `table/chain` -> rules in order. */
  readonly rules: ReadonlyMap<string, readonly string[]>;
}
export function parseSaved(text: string): SavedRules {
  const policies = new Map<string, string>();
  const rules = new Map<string, string[]>();
  let table = "";
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) table = line.slice(1);
    const chain = /^:(\S+) (\S+)/.exec(line);
    if (chain !== null) policies.set(`${table}/${chain[1]}`, chain[2] ?? "-");
    const rule = /^-A (\S+) (.*)$/.exec(line);
    if (rule === null) continue;
    const key = `${table}/${rule[1]}`;
    const list = rules.get(key);
    if (list === undefined) rules.set(key, [rule[2] ?? ""]);
    else list.push(rule[2] ?? "");
  }
  return { policies, rules };
}

/** The text that turns what is there into what is wanted; empty when it is so already. Each table in one transaction.
 *  @param wanted all rules of this family, in order; empty: everything of ours goes */
export function renderRepair(
  saved: SavedRules,
  wanted: { readonly tag: EngineTag; readonly family: RuleFamily; readonly rules: readonly Rule[] },
): string {
  return tables.map((table) => repairTable(saved, wanted, table)).join("");
}

function repairTable(
  saved: SavedRules,
  wanted: { readonly tag: EngineTag; readonly family: RuleFamily; readonly rules: readonly Rule[] },
  table: Table,
): string {
  const { tag, family } = wanted;
  const rules = wanted.rules.filter((rule) => rule.table === table);
  const body: string[] = [];
  const chains: string[] = [];
  const keep = wanted.rules.length > 0;
  if (keep) {
    if (table === "filter" && !saved.policies.has(`filter/${userChain}`)) chains.push(`:${userChain} - [0:0]`);
    for (const chain of chainsIn(table)) {
      const name = chainName(tag, chain);
      const specs = rules.filter((rule) => rule.chain === chain).map(({ spec }) => spec);
      if (saved.policies.has(`${table}/${name}`) && sameLines(saved.rules.get(`${table}/${name}`) ?? [], specs))
        continue;
      chains.push(`:${name} - [0:0]`);
      for (const spec of specs) body.push(`-A ${name} ${spec}`);
    }
  }
  for (const jump of jumps(tag, family).filter((one) => one.table === table)) {
    const present = (saved.rules.get(`${table}/${jump.from}`) ?? []).filter((spec) => spec === jump.spec).length;
    const surplus = keep ? present - 1 : present;
    for (let n = 0; n < surplus; n += 1) body.push(`-D ${jump.from} ${jump.spec}`);
    if (keep && present === 0) body.push(`${jump.position === "first" ? "-I" : "-A"} ${jump.from} ${jump.spec}`);
  }
  if (!keep) body.push(...removal(saved, tag, table));
  return chains.length + body.length === 0 ? "" : section(table, [...chains, ...body]);
}

/** Chains can go only when nothing jumps to them any more: all are emptied first. */
function removal(saved: SavedRules, tag: EngineTag, table: Table): readonly string[] {
  const present = [...saved.policies.keys()]
    .filter((key) => key.startsWith(`${table}/TSC-${tag}-`))
    .map((key) => key.slice(table.length + 1));
  return [...present.map((name) => `-F ${name}`), ...present.map((name) => `-X ${name}`)];
}

/** True when some engine other than `tag` has chains. */
export function hasOtherEngines(saved: SavedRules, tag: EngineTag): boolean {
  return [...saved.policies.keys()].some((key) => /\/TSC-/.test(key) && !key.includes(`/TSC-${tag}-`));
}

/** What the last engine takes with it: the administrator's chain if it is empty and unused, and the marker.
 *  @returns text, and whether forwarding has to be turned off again */
export function renderFarewell(
  saved: SavedRules,
  tag: EngineTag,
): { readonly text: string; readonly forwardingWasOurs: boolean } {
  if (hasOtherEngines(saved, tag)) return { text: "", forwardingWasOurs: false };
  const body: string[] = [];
  const inUse = (name: string): boolean =>
    [...saved.rules].some(
      ([key, specs]) => !key.includes(`/TSC-${tag}-`) && specs.some((spec) => spec.endsWith(`-j ${name}`)),
    );
  const userRules = saved.rules.get(`filter/${userChain}`) ?? [];
  if (saved.policies.has(`filter/${userChain}`) && userRules.length === 0 && !inUse(userChain)) {
    body.push(`-X ${userChain}`);
  }
  const forwardingWasOurs = saved.policies.has(`filter/${forwardingMarker}`);
  const chains = forwardingWasOurs ? [":FORWARD ACCEPT [0:0]"] : [];
  if (forwardingWasOurs) body.push(`-X ${forwardingMarker}`);
  return { text: body.length === 0 ? "" : section("filter", [...chains, ...body]), forwardingWasOurs };
}

/** Closes forwarding for everything that no rule accepts, and leaves the marker that it was us. */
export const closeForwarding = section("filter", [":FORWARD DROP [0:0]", `:${forwardingMarker} - [0:0]`]);

/** The order between networks does not matter, and differs with the order of changes. */
function sameLines(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  const sorted = b.toSorted();
  return a.toSorted().every((line, index) => line === sorted[index]);
}
