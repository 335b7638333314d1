/** How the spec layer sees files. The real one is `compose/file-source.ts`; tests hand in a map. */
export interface FileSource {
  /** Contents, or undefined where there is no such file. `-` is standard input. Bytes, because the text may not be UTF-8.
   *  A file over `maxBytes` need not be read whole: more than `maxBytes` bytes are enough.
   *  @throws TscomposeError for a file that exists and cannot be read (a folder, no permission). */
  read(path: string, maxBytes: number): Uint8Array | undefined;
  kind(path: string): "file" | "directory" | undefined;
  /** The path with every symbolic link followed, or undefined where there is nothing. */
  realPath(path: string): string | undefined;
}
