/** sockaddr_in and sockaddr_in6 as bytes. Source: ip(7), ipv6(7). */
import { AF_INET, AF_INET6 } from "./libc.ts";

/** @param address 4 or 16 bytes */
export function internetAddress(address: Buffer, port: number): Buffer {
  const v4 = address.length === 4;
  const bytes = Buffer.alloc(v4 ? 16 : 28);
  bytes.writeUInt16LE(v4 ? AF_INET : AF_INET6, 0);
  bytes.writeUInt16BE(port, 2);
  address.copy(bytes, v4 ? 4 : 8);
  return bytes;
}

export const portOf = (socketAddress: Buffer): number => socketAddress.readUInt16BE(2);
