/** The two programs that read and change netfilter rules. `-w`: wait for another program that is changing them. */
import { runCommand } from "./command.ts";

export type IpFamily = 4 | 6;
const programs = {
  4: { save: "iptables-save", restore: "iptables-restore" },
  6: { save: "ip6tables-save", restore: "ip6tables-restore" },
} as const;
const timeoutMs = 30_000;

/** All tables of the family. @throws host/command-failed */
export async function saveRules(family: IpFamily): Promise<string> {
  return (await runCommand([programs[family].save], { timeoutMs })).stdout.toString("utf8");
}

/** Applies `text`, leaving alone what it does not name; each table is one transaction. @throws host/command-failed */
export async function restoreRules(family: IpFamily, text: string): Promise<void> {
  await runCommand([programs[family].restore, "--noflush", "-w"], { input: text, timeoutMs });
}
