/** File types and permissions as Go's `os.FileMode` has them, which is what the archive endpoints speak. Pure.
 *  Source: Go, io/fs FileMode; engine-api.md 3.6. */

const permissions = 0o777n;
/** [st_mode type, Go bits]; types are compared within the mask. */
const typeMask = 0o170000n;
const types = new Map<bigint, number>([
  [0o040000n, 2 ** 31], // directory
  [0o120000n, 2 ** 27], // symlink
  [0o060000n, 2 ** 26], // block device
  [0o020000n, 2 ** 26 + 2 ** 21], // character device
  [0o010000n, 2 ** 25], // named pipe
  [0o140000n, 2 ** 24], // socket
]);
const specials: readonly (readonly [bit: bigint, go: number])[] = [
  [0o4000n, 2 ** 23],
  [0o2000n, 2 ** 22],
  [0o1000n, 2 ** 20],
];

/** `mode`: as stat(2) has it. */
export function goFileMode(mode: bigint): number {
  const special = specials.reduce((sum, [bit, go]) => sum + ((mode & bit) === 0n ? 0 : go), 0);
  return Number(mode & permissions) + (types.get(mode & typeMask) ?? 0) + special;
}
