/** Connection tracking remembers where the packets of a UDP client go, for as long as the client keeps sending: when a published
 *  port gets another container, or gets its first, the memory has to go. */
import { deleteUdpFlows } from "../host/conntrack.ts";
import type { BoundPort } from "./types.ts";

export function forgetFlows(ports: readonly BoundPort[]): void {
  const udp = ports.filter(({ protocol }) => protocol === "udp").map(({ hostPort }) => hostPort);
  if (udp.length > 0) deleteUdpFlows(new Set(udp));
}
