/** The command line that runs this program again as the engine, in a mount namespace of its own: mounts that the engine makes
 *  stay out of the host's table and go with the last process that uses them. Pure. */
import type { Environment } from "./roots.ts";

/** In the environment of a process that has its own mount namespace. */
export const namespaceVariable = "TSCOMPOSE_ENGINE_NAMESPACE";

/** `entry`: the script that Node runs. */
export function engineArgv(execPath: string, entry: string): readonly string[] {
  return ["unshare", "--mount", "--propagation", "slave", "--", execPath, entry, "engine", "serve"];
}

/** What an engine may know of its starter: where things are and how to reach registries. */
const passedOn = [
  "TSCOMPOSE_DATA_ROOT",
  "TSCOMPOSE_RUN_ROOT",
  "TSCOMPOSE_BUILD_CACHE_LIMIT",
  "TSCOMPOSE_ENGINE_IDLE",
  "TSCOMPOSE_ENTRY",
  "TSCOMPOSE_RUNTIME",
  "TSCOMPOSE_EAGER_HEALTH",
  "TSCOMPOSE_CDI_SPEC_DIRS",
  "TSCOMPOSE_USERNS_REMAP",
  "TSCOMPOSE_CGROUP_DRIVER",
  "TSCOMPOSE_REGISTRY_MIRRORS",
  "TSCOMPOSE_INSECURE_REGISTRIES",
  "TSCOMPOSE_ADDRESS_POOLS",
  "TSCOMPOSE_PUBLISH_ADDRESS",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "NODE_EXTRA_CA_CERTS",
  "SSL_CERT_FILE",
  "TSCOMPOSE_CERTS_DIR",
  "SSL_CERT_DIR",
];

export function engineEnvironment(env: Environment): Readonly<Record<string, string>> {
  const passed = passedOn.flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]] as const]));
  return {
    ...Object.fromEntries(passed),
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    HOME: "/root",
    LC_ALL: "C",
    [namespaceVariable]: "own",
  };
}
