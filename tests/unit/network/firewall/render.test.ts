import fc from "fast-check";
import { expect, test } from "vitest";
import { parseSaved, renderChange, renderFarewell, renderRepair } from "../../../../src/network/firewall/render.ts";
import { chainsIn, skeletonRules, tables, type Rule } from "../../../../src/network/firewall/rules.ts";

const tag = "test1";
const empty = ":INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n";
const rule: Rule = { family: 4, table: "filter", chain: "OUT", spec: "-i br0 -j ACCEPT" };
const wanted = { tag, family: 4 as const, rules: [...skeletonRules(tag, 4, []), rule] };

/** What iptables-restore makes of a text: enough of it to say what a second look finds. */
function apply(saved: string, text: string): string {
  const before = parseSaved(saved);
  const policies = new Map(before.policies);
  const rules = new Map([...before.rules].map(([key, list]) => [key, [...list]]));
  let table = "";
  for (const line of text.split("\n")) {
    const [, verb = "", chain = "", spec = ""] = /^(:|-[ADIFX])\s?(\S+)\s*(.*)$/.exec(line) ?? [];
    const key = `${table}/${chain}`;
    const list = rules.get(key) ?? [];
    rules.set(key, list);
    if (line.startsWith("*")) table = line.slice(1);
    if (verb === ":") {
      policies.set(key, spec.split(" ")[0] ?? "-");
      if (spec.startsWith("-")) rules.set(key, []);
    }
    if (verb === "-A") list.push(spec);
    if (verb === "-I") list.unshift(spec);
    if (verb === "-D") list.splice(list.indexOf(spec), 1);
    if (verb === "-F") rules.set(key, []);
    if (verb === "-X") {
      policies.delete(key);
      rules.delete(key);
    }
  }
  return tables
    .map((name) => {
      const chains = [...policies].filter(([key]) => key.startsWith(`${name}/`));
      const lines = [...rules].filter(([key]) => key.startsWith(`${name}/`));
      const body = [
        ...chains.map(([key, policy]) => `:${key.slice(name.length + 1)} ${policy} [0:0]`),
        ...lines.flatMap(([key, list]) => list.map((spec) => `-A ${key.slice(name.length + 1)} ${spec}`)),
      ];
      return `*${name}\n${body.join("\n")}\nCOMMIT\n`;
    })
    .join("");
}

test("after a repair there is nothing left to repair", () => {
  const text = renderRepair(parseSaved(`*filter\n${empty}COMMIT\n`), wanted);
  const after = apply(`*filter\n${empty}COMMIT\n`, text);
  expect(renderRepair(parseSaved(after), wanted)).toBe("");
});

test("whatever was taken away or added in our chains, one repair puts it right, and leaves the rules of others alone", () => {
  const whole = apply(
    `*filter\n${empty}-A FORWARD -j OTHER\nCOMMIT\n`,
    renderRepair(parseSaved(`*filter\n${empty}COMMIT\n`), wanted),
  );
  const lines = whole.split("\n");
  fc.assert(
    fc.property(
      fc.subarray(lines.map((_, index) => index)),
      fc.constantFrom("", "-A TSC-test1-IN -j ACCEPT"),
      (kept, extra) => {
        const isRemovable = (line: string): boolean => line.startsWith("-A") && line.includes("TSC-");
        const damaged = lines.filter((line, index) => !isRemovable(line) || kept.includes(index)).join("\n");
        const text = extra === "" ? damaged : damaged.replace("COMMIT", `${extra}\nCOMMIT`);
        const after = apply(text, renderRepair(parseSaved(text), wanted));
        expect(renderRepair(parseSaved(after), wanted)).toBe("");
        expect(after).toContain("-A FORWARD -j OTHER");
      },
    ),
  );
});

test("with nothing wanted every chain and jump of ours goes, in an order the kernel accepts", () => {
  const whole = apply(`*filter\n${empty}COMMIT\n`, renderRepair(parseSaved(`*filter\n${empty}COMMIT\n`), wanted));
  const text = renderRepair(parseSaved(whole), { tag, family: 4, rules: [] });
  const after = apply(whole, text);
  expect(after).not.toContain("TSC-");
  const position = (needle: string): number => text.indexOf(needle);
  for (const chain of tables.flatMap((table) => chainsIn(table))) {
    expect(position(`-F TSC-test1-${chain}\n`)).toBeLessThan(position(`-X TSC-test1-${chain}\n`));
  }
});

test("the last engine takes the shared chains along, unless the administrator put rules there", () => {
  const saved = (more: string): ReturnType<typeof parseSaved> =>
    parseSaved(`*filter\n${empty}:TSCOMPOSE-USER - [0:0]\n:TSCOMPOSE-FORWARDING - [0:0]\n${more}COMMIT\n`);
  expect(renderFarewell(saved(""), tag)).toEqual({
    text: "*filter\n:FORWARD ACCEPT [0:0]\n-X TSCOMPOSE-USER\n-X TSCOMPOSE-FORWARDING\nCOMMIT\n",
    forwardingWasOurs: true,
  });
  expect(renderFarewell(saved("-A TSCOMPOSE-USER -s 192.0.2.0/24 -j DROP\n"), tag).text).not.toContain(
    "TSCOMPOSE-USER",
  );
  expect(renderFarewell(saved(":TSC-other-FWD - [0:0]\n"), tag)).toEqual({ text: "", forwardingWasOurs: false });
});

test("a change removes before it adds, each table in one transaction", () => {
  const remove = [{ ...rule, table: "nat" as const, chain: "DNAT" as const, spec: "-p tcp -j A" }];
  const add = [{ ...rule, table: "nat" as const, chain: "DNAT" as const, spec: "-p tcp -j B" }, rule];
  expect(renderChange(tag, { remove, add })).toBe(
    "*nat\n-D TSC-test1-DNAT -p tcp -j A\n-A TSC-test1-DNAT -p tcp -j B\nCOMMIT\n*filter\n-A TSC-test1-OUT -i br0 -j ACCEPT\nCOMMIT\n",
  );
});
