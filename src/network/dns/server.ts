/** The resolver of one container: sockets inside its network namespace, so that who asks is known by the socket and nobody else
 *  can. Programs ask 127.0.0.11:53; the sockets sit on other ports, so that the container may serve port 53 itself.
 *  Source: RFC 1035 section 4.2, RFC 7766. */
import { closeSync } from "node:fs";
import * as libc from "../../host/libc.ts";
import { inNetns } from "../../host/netns.ts";
import { redirectLocalPorts } from "../../host/nftables.ts";
import { internetAddress, portOf } from "../../host/socket-address.ts";
import { resolverAddress } from "../etc-files.ts";
import { encodeAnswer, encodeRefusal } from "./answer.ts";
import { parseQuery, SERVFAIL, type Question } from "./question.ts";
import { resolve, type DnsView } from "./resolve.ts";
import { serveTcp } from "./tcp.ts";
import { serveUdp } from "./udp.ts";
import type { Upstream } from "./upstream.ts";

export interface DnsServerOptions {
  readonly netns: number;
  readonly view: () => DnsView;
  /** Text addresses of the servers to forward to. */
  readonly servers: () => readonly string[];
  readonly upstream: Upstream;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}
export interface DnsServer {
  close(): void;
}

const address = Buffer.from(resolverAddress.split(".").map(Number));
const table = "tscompose";
const maximumForwards = 256;
const SO_RCVBUFFORCE = 33;
/** Bytes of questions that wait while the engine is busy: a lost one is asked again only after seconds. */
const waitingRoom = Buffer.alloc(4);
waitingRoom.writeUInt32LE(512 * 1024);
const largestTcpAnswer = 65_535;

/** One way in. */
export interface Door {
  close(): void;
}
/** The answer, at once or later; undefined: none is due. */
export type Answerer = (message: Buffer, transport: "udp" | "tcp") => Buffer | Promise<Buffer> | undefined;

/** `lo` must be up. @throws host/syscall-failed */
export function startDnsServer(options: DnsServerOptions): DnsServer {
  const sockets = openSockets(options);
  const answer = createAnswerer(options);
  const udp = serveUdp(sockets.udp, answer, options.log);
  const tcp = serveTcp(sockets.tcp, answer);
  return {
    close: () => {
      udp.close();
      tcp.close();
    },
  };
}

function createAnswerer(options: DnsServerOptions): Answerer {
  let forwards = 0;
  const forward = async (message: Buffer, question: Question, transport: "udp" | "tcp"): Promise<Buffer> => {
    const limit = limitOf(question, transport);
    forwards += 1;
    try {
      const answer = await options.upstream.ask({ message, question, servers: options.servers(), transport });
      if (answer === undefined) return failure(question, limit);
      return answer.length > limit ? cutOff(answer, question.raw.length) : answer;
    } catch {
      return failure(question, limit);
    } finally {
      forwards -= 1;
    }
  };
  return (message, transport) => {
    const parsed = parseQuery(message);
    if (parsed.kind === "drop") return undefined;
    if (parsed.kind === "refuse") return encodeRefusal(parsed.id, parsed.opcode, parsed.rcode);
    const { question } = parsed;
    const limit = limitOf(question, transport);
    const resolution = resolve(question, options.view());
    if (resolution.kind === "answer") return encodeAnswer(question, { ...resolution, limit });
    if (forwards >= maximumForwards) return failure(question, limit);
    // The message lies in a buffer that the next ones will use.
    const kept = Buffer.from(message);
    return forward(kept, { ...question, raw: kept.subarray(12, 12 + question.raw.length) }, transport);
  };
}

const limitOf = (question: Question, transport: "udp" | "tcp"): number =>
  transport === "tcp" ? largestTcpAnswer : question.udpSize;
const failure = (question: Question, limit: number): Buffer =>
  encodeAnswer(question, { rcode: SERVFAIL, records: [], limit });

/** Header and question alone, with TC set: ask again over TCP. */
function cutOff(answer: Buffer, questionLength: number): Buffer {
  const cut = Buffer.from(answer.subarray(0, 12 + questionLength));
  cut.writeUInt16BE(cut.readUInt16BE(2) | 0x0200, 2);
  cut.fill(0, 6, 12);
  return cut;
}

function openSockets(options: DnsServerOptions): { readonly udp: number; readonly tcp: number } {
  try {
    const sockets = bindBoth(options.netns, 0);
    try {
      redirectLocalPorts(options.netns, table, [
        { protocol: "udp", address, port: 53, actualPort: portOf(libc.getsockname(sockets.udp)) },
        { protocol: "tcp", address, port: 53, actualPort: portOf(libc.getsockname(sockets.tcp)) },
      ]);
      return sockets;
    } catch (error) {
      closeSync(sockets.udp);
      closeSync(sockets.tcp);
      throw error;
    }
  } catch (error) {
    options.log("warn", `name resolution takes port 53 of the container itself: ${String(error)}`);
    return bindBoth(options.netns, 53);
  }
}

function bindBoth(netns: number, port: number): { readonly udp: number; readonly tcp: number } {
  return inNetns(netns, () => {
    const udp = libc.socket(libc.AF_INET, libc.SOCK_DGRAM | libc.SOCK_NONBLOCK);
    const tcp = libc.socket(libc.AF_INET, libc.SOCK_STREAM | libc.SOCK_NONBLOCK);
    try {
      libc.setsockopt(udp, { level: libc.SOL_SOCKET, name: SO_RCVBUFFORCE }, waitingRoom);
      libc.bind(udp, internetAddress(address, port));
      libc.bind(tcp, internetAddress(address, port));
      return { udp, tcp };
    } catch (error) {
      closeSync(udp);
      closeSync(tcp);
      throw error;
    }
  });
}
