/** A process that runs networking alone, for measuring: a network of some members, asked by another process inside the namespace of
 *  the first. Its servers outside are dead: packets to them get no answer. Prints one JSON line and stays until its stdin ends. */
import { rmSync } from "node:fs";
import { Lab, endpoint } from "../integration/network/lab.ts";

const members = Number(process.argv[2] ?? "20");
const lab = await Lab.create();
lab.outside("198.51.100.1", "198.51.100.2");
const dns = { servers: ["198.51.100.77", "198.51.100.78"], search: [], options: [] };
const net = await lab.network("load");
const asker = await lab.box("asker", [net], { dns });
for (let n = 0; n < members; n += 1) {
  await lab.box(`member-${n}`, [endpoint(net, { aliases: n % 2 === 0 ? ["even", "svc"] : ["odd", "svc"] })], { dns });
}
process.stdout.write(`${JSON.stringify({ pid: process.pid, netns: asker.netns })}\n`);
const before = process.cpuUsage();
process.stdin.resume();
process.stdin.once("end", () => {
  const { user, system } = process.cpuUsage(before);
  process.stdout.write(`${JSON.stringify({ cpuMs: (user + system) / 1000 })}\n`);
  // The rest is in a namespace of its own, which goes with it.
  rmSync(lab.directory, { recursive: true, force: true });
  void lab.networking.close().finally(() => process.exit(0));
});
