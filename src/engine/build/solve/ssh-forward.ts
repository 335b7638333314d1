/** The client's SSH agent inside a RUN step: a socket that takes the two requests that use keys (list, sign) to the agent and brings
 *  its answers back. What would change the agent is refused here. No key is ever seen. Source: draft-miller-ssh-agent. */
import { chmodSync, chownSync, mkdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { TscomposeError, errorMessage } from "../../../errors.ts";

const request = { identities: 11, sign: 13 } as const;
const failureAnswer = Buffer.from([0, 0, 0, 1, 5]);
const maxMessage = 256 * 1024;

export interface SshForward {
  close(): void;
}

/** Listens at `path` (made, with its directory).
 *  @throws build/failed where the agent does not answer */
export async function forwardAgent(
  agent: string,
  path: string,
  owner: { readonly uid: number; readonly gid: number; readonly mode: number },
): Promise<SshForward> {
  await probe(agent);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const sockets = new Set<Socket>();
  const server = createServer((client) => serve(client, agent, sockets));
  await listen(server, path);
  chownSync(path, owner.uid, owner.gid);
  chmodSync(path, owner.mode);
  return {
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
      rmSync(path, { force: true });
    },
  };
}

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => resolve());
  });
}

function probe(agent: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(agent);
    socket.once("connect", () => {
      socket.destroy();
      resolve();
    });
    socket.once("error", (error) => {
      reject(
        new TscomposeError("build/failed", `cannot reach the SSH agent at ${agent}: ${errorMessage(error)}`, {
          hint: "start ssh-agent, and see that SSH_AUTH_SOCK names its socket",
          cause: error,
        }),
      );
    });
  });
}

function serve(client: Socket, agentPath: string, sockets: Set<Socket>): void {
  const agent = connect(agentPath);
  for (const socket of [client, agent]) {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => {
      sockets.delete(socket);
      client.destroy();
      agent.destroy();
    });
  }
  agent.pipe(client, { end: false });
  let waiting = Buffer.alloc(0);
  client.on("data", (chunk: Buffer) => {
    waiting = Buffer.concat([waiting, chunk]);
    while (waiting.length >= 5) {
      const length = waiting.readUInt32BE(0);
      if (length === 0 || length > maxMessage) {
        client.destroy();
        return;
      }
      if (waiting.length < 4 + length) return;
      const message = waiting.subarray(0, 4 + length);
      waiting = waiting.subarray(4 + length);
      const type = message[4];
      if (type === request.identities || type === request.sign) agent.write(message);
      else client.write(failureAnswer);
    }
  });
}
