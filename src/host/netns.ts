/** Network namespaces as descriptors. The main thread enters one only for as long as a synchronous function runs.
 *  Source: namespaces(7), setns(2), network_namespaces(7). */
import { openSync } from "node:fs";
import { CLONE_NEWNET, setns, unshare } from "./libc.ts";

let home: number | undefined;
/** The namespace this process was started in. */
export function homeNetns(): number {
  home ??= openSync("/proc/thread-self/ns/net", "r");
  return home;
}

/** A new, empty network namespace (lo, down). It lives as long as the descriptor, or a process or socket in it. */
export function createNetns(): number {
  const back = homeNetns();
  unshare(CLONE_NEWNET);
  try {
    return openSync("/proc/thread-self/ns/net", "r");
  } finally {
    setns(back, CLONE_NEWNET);
  }
}

/** Runs `work` inside the namespace. `work` must not yield: a promise would go on in the host's namespace, and is refused. */
export function inNetns<T>(fd: number, work: () => T extends PromiseLike<unknown> ? never : T): T {
  const back = homeNetns();
  setns(fd, CLONE_NEWNET);
  try {
    return work();
  } finally {
    setns(back, CLONE_NEWNET);
  }
}
