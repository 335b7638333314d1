/** Secrets, SSH agents, credentials and uploads that the client of a session gives. Source: BuildKit session/*. */
import { createServer } from "node:net";
import type { Socket } from "node:net";
import { join } from "node:path";
import { TscomposeError } from "../../errors.ts";
import type { ClientServices } from "../../engine/build/types.ts";
import type { RegistryCredentials } from "../wire.ts";
import { GrpcError, grpcCode } from "./grpc/status.ts";
import {
  bytesMessage,
  checkAgentRequest,
  credentialsRequest,
  credentialsResponse,
  getSecretRequest,
  getSecretResponse,
} from "./session-messages.ts";
import type { Session } from "./sessions.ts";

const methods = {
  secret: "/moby.buildkit.secrets.v1.Secrets/GetSecret",
  credentials: "/moby.filesync.v1.Auth/Credentials",
  checkAgent: "/moby.sshforward.v1.SSH/CheckAgent",
  forwardAgent: "/moby.sshforward.v1.SSH/ForwardAgent",
  pull: "/moby.upload.v1.Upload/Pull",
} as const;

const maxBytes = 4 * 1024 * 1024;
/** As BuildKit has it. */
const maxSecretBytes = 500 * 1024;

export interface SessionServices extends ClientServices {
  /** An archive that the client holds ready at this URL. */
  upload(url: URL): AsyncIterable<Buffer>;
  /** Takes away the sockets of agents. Idempotent. */
  close(): void;
}

export function sessionServices(session: Session, signal: AbortSignal): SessionServices {
  const closers: (() => void)[] = [];
  const options = { signal, maxBytes };
  return {
    secret: async (id) => {
      const request = getSecretRequest.encode({ id });
      const answer = await optional(session, methods.secret, () =>
        session.client.unary(methods.secret, request, { signal, maxBytes: 2 * maxSecretBytes }),
      );
      if (answer === undefined) return undefined;
      const { data } = getSecretResponse.decode(answer);
      if (data.length > maxSecretBytes)
        throw new TscomposeError("build/invalid", `secret ${id} is larger than ${maxSecretBytes} bytes`);
      return data;
    },
    credentials: (registry) => askCredentials(session, registry, signal),
    agent: async (id, directory) => {
      const request = checkAgentRequest.encode({ id });
      const isThere = await optional(session, methods.checkAgent, () =>
        session.client.unary(methods.checkAgent, request, options),
      );
      if (isThere === undefined) return undefined;
      const path = join(directory, "agent");
      closers.push(await listenFor(path, (socket) => void forward(session, id, { socket, signal })));
      return path;
    },
    upload: (url) => pull(session, url, signal),
    close: () => {
      for (const close of closers.splice(0)) close();
    },
  };
}

/** Undefined where the client does not have it. */
async function optional(session: Session, method: string, ask: () => Promise<Buffer>): Promise<Buffer | undefined> {
  if (!session.offers(method)) return undefined;
  try {
    return await ask();
  } catch (error) {
    const isAbsent =
      error instanceof GrpcError &&
      (error.code === grpcCode.notFound ||
        error.code === grpcCode.unimplemented ||
        /not found|unset ssh forward key|no ssh handler|not registered/.test(error.message));
    if (isAbsent) return undefined;
    throw error;
  }
}

async function askCredentials(
  session: Session,
  registry: string,
  signal: AbortSignal,
): Promise<RegistryCredentials | undefined> {
  const host = registry === "docker.io" ? "registry-1.docker.io" : registry;
  const answer = await optional(session, methods.credentials, () =>
    session.client.unary(methods.credentials, credentialsRequest.encode({ host }), { signal, maxBytes }),
  );
  if (answer === undefined) return undefined;
  const { username, secret } = credentialsResponse.decode(answer);
  if (secret === "") return undefined;
  return username === "" ? { identitytoken: secret } : { username, password: secret };
}

function listenFor(path: string, serve: (socket: Socket) => void): Promise<() => void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    socket.on("close", () => sockets.delete(socket));
    serve(socket);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () =>
      resolve(() => {
        server.close();
        for (const socket of sockets) socket.destroy();
      }),
    );
  });
}

/** One connection to the agent. */
async function forward(
  session: Session,
  id: string,
  { socket, signal }: { readonly socket: Socket; readonly signal: AbortSignal },
): Promise<void> {
  try {
    const stream = session.client.stream(methods.forwardAgent, {
      metadata: { "buildkit.ssh.id": id },
      signal,
      maxBytes,
    });
    socket.on("data", (data: Buffer) => void stream.send(bytesMessage.encode({ data })).catch(() => socket.destroy()));
    socket.on("end", () => stream.endSending());
    socket.on("close", () => stream.close());
    for await (const message of stream.messages) socket.write(bytesMessage.decode(message).data);
    socket.end();
  } catch {
    socket.destroy();
  }
}

async function* pull(session: Session, url: URL, signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
  const metadata = { urlpath: url.pathname, urlhost: url.host };
  const stream = session.client.stream(methods.pull, { metadata, signal, maxBytes });
  try {
    stream.endSending();
    for await (const message of stream.messages) yield bytesMessage.decode(message).data;
  } finally {
    stream.close();
  }
}
