/** The reference with its digest, in Docker's full form (`docker.io/library/redis:7@sha256:...`). A reference that has one
 *  already keeps it and loses its tag. Undefined for no image. */
export async function pinned(
  image: string | undefined,
  resolve: (image: string) => Promise<string>,
): Promise<string | undefined> {
  if (image === undefined || image === "") return undefined;
  const full = fullReference(image);
  return full.includes("@") ? full : `${full}@${await resolve(full)}`;
}

function fullReference(image: string): string {
  const [tagged = "", digest] = image.split("@");
  const slash = tagged.indexOf("/");
  const host = slash === -1 ? "" : tagged.slice(0, slash);
  const hasDomain = /[.:]/.test(host) || host === "localhost" || host !== host.toLowerCase();
  const named = hasDomain ? tagged : `docker.io/${slash === -1 ? "library/" : ""}${tagged}`;
  const tagAt = named.lastIndexOf(":");
  const hasTag = tagAt > named.lastIndexOf("/");
  if (digest !== undefined) return `${hasTag ? named.slice(0, tagAt) : named}@${digest}`;
  return hasTag ? named : `${named}:latest`;
}
