/** Docker Compose's labels, so that either tool recognises the other's projects. Source: docker/compose `pkg/api/labels.go`. */
export const label = {
  project: "com.docker.compose.project",
  service: "com.docker.compose.service",
  number: "com.docker.compose.container-number",
  oneoff: "com.docker.compose.oneoff",
  slug: "com.docker.compose.slug",
  configHash: "com.docker.compose.config-hash",
  version: "com.docker.compose.version",
  workingDir: "com.docker.compose.project.working_dir",
  configFiles: "com.docker.compose.project.config_files",
  environmentFile: "com.docker.compose.project.environment_file",
  dependsOn: "com.docker.compose.depends_on",
  image: "com.docker.compose.image",
  imageVolumeDigest: "com.docker.compose.image-volume-digest",
  replace: "com.docker.compose.replace",
  network: "com.docker.compose.network",
  volume: "com.docker.compose.volume",
  hook: "com.docker.compose.hook",
} as const;

/** The release of Docker Compose whose labels, hashes and names are written. Not part of what makes a container diverge. */
export const composeVersion = "5.5.0";

export interface DependencyLabel {
  readonly service: string;
  readonly condition: string;
  readonly restart: boolean;
}

/** `db:service_healthy:true,cache:service_started:false`. */
export function formatDependencies(
  dependencies: Readonly<Record<string, { readonly condition: string; readonly restart?: boolean }>> | undefined,
): string {
  return Object.entries(dependencies ?? {})
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([service, { condition, restart }]) => `${service}:${condition}:${restart ?? false}`)
    .join(",");
}

/** Parts that are missing (older Docker Compose wrote only the name) get the defaults. */
export function parseDependencies(text: string | undefined): readonly DependencyLabel[] {
  return (text ?? "")
    .split(",")
    .filter((part) => part !== "")
    .map((part) => {
      const [service = "", condition = "service_started", restart = "false"] = part.split(":");
      return { service, condition, restart: restart === "true" };
    });
}
