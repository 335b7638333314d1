/** The messages of the services that a client offers on its session. Pure data.
 *  Source: BuildKit session/{filesync,secrets,auth,sshforward,upload}, tonistiigi/fsutil types/{wire,stat}.proto. */
import { bytes, integer, long, message, one, text } from "./protobuf.ts";
import type { MessageOf } from "./protobuf.ts";

export const stat = message({
  path: bytes(1),
  /** As Go's os.FileMode. */
  mode: integer(2),
  uid: integer(3),
  gid: integer(4),
  size: long(5),
  /** Nanoseconds since the epoch. */
  modTime: long(6),
  linkName: bytes(7),
  deviceMajor: long(8),
  deviceMinor: long(9),
});
export type Stat = Partial<MessageOf<typeof stat>>;

export const packetType = { stat: 0, request: 1, data: 2, fin: 3, error: 4 } as const;
export const packet = message({ type: integer(1), stat: one(2, stat), id: integer(3), data: bytes(4) });

/** Bits of os.FileMode beside the permissions. */
export const goMode = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  namedPipe: 2 ** 25,
  socket: 2 ** 24,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  charDevice: 2 ** 21,
  sticky: 2 ** 20,
  irregular: 2 ** 19,
} as const;

/** Also the parts of an uploaded archive, and of a file that is given to the client. */
export const bytesMessage = message({ data: bytes(1) });
export const getSecretRequest = message({ id: text(1) });
export const getSecretResponse = message({ data: bytes(1) });
export const credentialsRequest = message({ host: text(1) });
export const credentialsResponse = message({ username: text(1), secret: text(2) });
export const checkAgentRequest = message({ id: text(1) });
