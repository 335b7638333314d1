/** Members of an archive of images, and what is made of them. */
import { TscomposeError } from "../../../errors.ts";
import type { OciImageConfig } from "../../types.ts";
import { algorithmOf, digestOf, hexOf } from "../digest.ts";
import type { Descriptor } from "../manifest.ts";

export interface ArchiveMembers {
  readonly has: (name: string) => boolean;
  readonly names: () => readonly string[];
  /** Content of a small member. */
  readonly document: (name: string) => Buffer;
  /** sha256 of a member. */
  readonly digest: (name: string) => string;
}

export interface ArchivedImage {
  /** Bytes of the configuration, whose digest is the image's id. */
  readonly configBytes: Buffer;
  readonly config: OciImageConfig;
  /** Canonical. */
  readonly tags: readonly string[];
  /** Members that hold the layers, lowest first. */
  readonly layerMembers: readonly string[];
  /** The manifest as it is in the archive; undefined: there is none. */
  readonly manifest:
    { readonly bytes: Buffer; readonly descriptor: Descriptor; readonly layers: readonly Descriptor[] } | undefined;
}

/** Where an OCI layout keeps a blob. */
export function blobMember(digest: string): string {
  return `blobs/${algorithmOf(digest)}/${hexOf(digest)}`;
}

/** A document by its digest, which is checked.
 *  @throws image/digest-mismatch */
export function verifiedDocument(members: ArchiveMembers, digest: string): Buffer {
  const content = members.document(blobMember(digest));
  const found = digestOf(content, algorithmOf(digest));
  if (found === digest) return content;
  throw new TscomposeError(
    "image/digest-mismatch",
    `a document in the archive does not match its digest: expected ${digest}, got ${found}`,
    { hint: "the archive is damaged; make it again" },
  );
}

export function textList(value: unknown, subject: string): readonly string[] {
  if (Array.isArray(value) && value.every((item): item is string => typeof item === "string")) return value;
  throw new TscomposeError("image/invalid", `${subject} in the archive is not a list of names`);
}
