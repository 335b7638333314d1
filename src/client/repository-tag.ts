/** Pure: `repository[:tag]` and `repository@digest` apart. */

/** `localhost:5000/a/b` has no tag: a colon before the last slash belongs to the registry's port. */
export function parseRepositoryTag(reference: string): { readonly repository: string; readonly tag?: string } {
  const at = reference.indexOf("@");
  if (at >= 0) return { repository: reference.slice(0, at), tag: reference.slice(at + 1) };
  const colon = reference.lastIndexOf(":");
  if (colon < 0 || reference.indexOf("/", colon) >= 0) return { repository: reference };
  return { repository: reference.slice(0, colon), tag: reference.slice(colon + 1) };
}
