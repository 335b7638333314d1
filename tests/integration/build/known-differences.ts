/** Where our builder and BuildKit are known to differ, and why. A build that is told apart by one of these counts as compared; any
 *  other difference fails the test. */

export interface KnownDifference {
  /** Of BuildKit's message. */
  readonly theirs: RegExp;
  readonly reason: string;
}

/** BuildKit fails, we build. */
export const onlyTheirsFails: readonly KnownDifference[] = [
  {
    theirs: /failed to calculate checksum of ref [^ ]*: "\/": not found/,
    reason: 'BuildKit loses the files of a context with --parents and "." as a source',
  },
  {
    theirs: /failed to calculate checksum of ref [^ ]*: "\/ln-none": not found/,
    reason: "BuildKit takes a symlink to nowhere for missing with --exclude; it is copied as it is",
  },
  {
    theirs: /failed to calculate checksum of ref [^ ]*: "\/(?:ln-(?:chain|dir)(?:\/(?:one|e))?|d\/up)": not found/,
    reason:
      "BuildKit sends no files for a path through a symlink with --parents, nor what a symlink leads to that a pattern as */* names",
  },
  {
    theirs: /lstat \/(?:w|odd|d\/e): no such file or directory/,
    reason:
      "BuildKit does not send a directory for a pattern that matches nothing in it, and then misses the directory",
  },
  {
    theirs: /\/etc\/passwd is not a regular file/,
    reason: "BuildKit reads passwd for an owner in numbers too, and fails where it is a directory",
  },
];
