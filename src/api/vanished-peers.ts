/** Closes connections whose client has gone without a word. After a hijack the end of the client's side is only the end of
 *  stdin, so a client that was killed looks like one that listens on; the kernel knows the difference and is asked now and then. */
import type { Duplex } from "node:stream";
import { hasHungUp } from "../host/peer-state.ts";

const intervalMs = 2000;
const suspects = new Set<Duplex>();
let timer: NodeJS.Timeout | undefined;

/** For a connection whose client has closed its writing side. */
export function closeWhenPeerVanishes(socket: Duplex): void {
  if (socket.destroyed) return;
  suspects.add(socket);
  socket.once("close", () => suspects.delete(socket));
  schedule();
}

function schedule(): void {
  timer ??= setTimeout(look, intervalMs).unref();
}

function look(): void {
  timer = undefined;
  for (const socket of suspects) {
    const fd = descriptorOf(socket);
    if (fd === undefined || hasHungUp(fd)) socket.destroy();
  }
  if (suspects.size > 0) schedule();
}

/** Node keeps the descriptor in the handle; undefined: it is closed already. */
function descriptorOf(socket: Duplex): number | undefined {
  const handle: unknown = Reflect.get(socket, "_handle");
  if (typeof handle !== "object" || handle === null || !("fd" in handle)) return undefined;
  return typeof handle.fd === "number" && handle.fd >= 0 ? handle.fd : undefined;
}
