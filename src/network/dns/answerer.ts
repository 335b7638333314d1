/** A question's bytes in, the answer's bytes out: at once for what is known here, later for what servers outside are asked. */
import { encodeAnswer, encodeRefusal } from "./answer.ts";
import { parseQuery, SERVFAIL, type Question } from "./question.ts";
import { resolve, type DnsView } from "./resolve.ts";
import type { Upstream } from "./upstream.ts";

export interface AnswererOptions {
  readonly view: () => DnsView;
  /** Text addresses of the servers to forward to. */
  readonly servers: () => readonly string[];
  readonly upstream: Upstream;
}
/** undefined: no answer is due. */
export type Answerer = (message: Buffer, transport: "udp" | "tcp") => Buffer | Promise<Buffer> | undefined;

/** Questions of one container that wait for servers outside. */
const maximumForwards = 256;
const largestTcpAnswer = 65_535;

/** For one container. */
export function createAnswerer(options: AnswererOptions): Answerer {
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
