/** The one route table: the server matches requests with it, the client builds them from it. Pure data.
 *  Source: Docker Engine API v1.51 reference. */

/** `json`: the answer is one JSON value or nothing. `stream`: the answer is a long body, flushed as it comes. `hijack`: the connection becomes
 *  the stdio of a process after the headers. */
export type RouteMode = "json" | "stream" | "hijack";

export interface Route {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE";
  /** `{x}` stands for one segment, `{x*}` for one or more (image names hold slashes). */
  readonly path: string;
  /** The query keys that mean something; others are ignored. */
  readonly query: readonly string[];
  readonly mode: RouteMode;
  /** What the request carries; absent: nothing that matters. `bytes` is a stream (tar). */
  readonly body?: "json" | "bytes";
}

const json = { mode: "json", query: [] } as const;

const buildQuery: readonly string[] = (
  "dockerfile t extrahosts remote q nocache cachefrom pull rm forcerm memory memswap cpushares cpusetcpus cpusetmems " +
  "cpuperiod cpuquota cgroupparent buildargs shmsize squash labels networkmode platform target outputs version ulimits " +
  "securityopt session buildid isolation"
).split(" ");

export const routes = {
  ping: { ...json, method: "GET", path: "/_ping" },
  pingHead: { ...json, method: "HEAD", path: "/_ping" },
  version: { ...json, method: "GET", path: "/version" },
  info: { ...json, method: "GET", path: "/info" },
  events: { method: "GET", path: "/events", query: ["since", "until", "filters"], mode: "stream" },
  diskUsage: { ...json, method: "GET", path: "/system/df", query: ["type", "verbose"] },
  auth: { ...json, method: "POST", path: "/auth", body: "json" },
  pluginList: { ...json, method: "GET", path: "/plugins", query: ["filters"] },

  containerList: { ...json, method: "GET", path: "/containers/json", query: ["all", "limit", "size", "filters"] },
  containerCreate: {
    ...json,
    method: "POST",
    path: "/containers/create",
    query: ["name", "platform"],
    body: "json",
  },
  containerPrune: { ...json, method: "POST", path: "/containers/prune", query: ["filters"] },
  containerInspect: { ...json, method: "GET", path: "/containers/{id}/json", query: ["size"] },
  containerStart: {
    ...json,
    method: "POST",
    path: "/containers/{id}/start",
    query: ["checkpoint", "checkpoint-dir", "detachKeys"],
  },
  containerStop: { ...json, method: "POST", path: "/containers/{id}/stop", query: ["t", "signal"] },
  containerRestart: { ...json, method: "POST", path: "/containers/{id}/restart", query: ["t", "signal"] },
  containerKill: { ...json, method: "POST", path: "/containers/{id}/kill", query: ["signal"] },
  containerWait: { ...json, method: "POST", path: "/containers/{id}/wait", query: ["condition"] },
  containerRemove: { ...json, method: "DELETE", path: "/containers/{id}", query: ["force", "v", "link"] },
  containerAttach: {
    method: "POST",
    path: "/containers/{id}/attach",
    query: ["stream", "stdin", "stdout", "stderr", "logs", "detachKeys"],
    mode: "hijack",
  },
  containerLogs: {
    method: "GET",
    path: "/containers/{id}/logs",
    query: ["stdout", "stderr", "follow", "timestamps", "details", "since", "until", "tail"],
    mode: "stream",
  },
  containerResize: { ...json, method: "POST", path: "/containers/{id}/resize", query: ["h", "w"] },
  containerRename: { ...json, method: "POST", path: "/containers/{id}/rename", query: ["name"] },
  containerStats: { method: "GET", path: "/containers/{id}/stats", query: ["stream", "one-shot"], mode: "stream" },
  containerTop: { ...json, method: "GET", path: "/containers/{id}/top", query: ["ps_args"] },
  containerPause: { ...json, method: "POST", path: "/containers/{id}/pause" },
  containerUnpause: { ...json, method: "POST", path: "/containers/{id}/unpause" },
  containerUpdate: { ...json, method: "POST", path: "/containers/{id}/update", body: "json" },
  containerChanges: { ...json, method: "GET", path: "/containers/{id}/changes" },
  containerExport: { method: "GET", path: "/containers/{id}/export", query: [], mode: "stream" },
  containerArchiveStat: { ...json, method: "HEAD", path: "/containers/{id}/archive", query: ["path"] },
  containerArchiveGet: { method: "GET", path: "/containers/{id}/archive", query: ["path"], mode: "stream" },
  containerArchivePut: {
    method: "PUT",
    path: "/containers/{id}/archive",
    query: ["path", "noOverwriteDirNonDir", "copyUIDGID"],
    mode: "json",
    body: "bytes",
  },
  containerExec: { ...json, method: "POST", path: "/containers/{id}/exec", body: "json" },
  containerCommit: {
    ...json,
    method: "POST",
    path: "/commit",
    query: ["container", "repo", "tag", "comment", "author", "pause", "changes"],
    body: "json",
  },

  execStart: { method: "POST", path: "/exec/{id}/start", query: [], mode: "hijack", body: "json" },
  execResize: { ...json, method: "POST", path: "/exec/{id}/resize", query: ["h", "w"] },
  execInspect: { ...json, method: "GET", path: "/exec/{id}/json" },

  imageList: {
    ...json,
    method: "GET",
    path: "/images/json",
    query: ["all", "filters", "shared-size", "digests", "manifests"],
  },
  imagePull: {
    method: "POST",
    path: "/images/create",
    query: ["fromImage", "fromSrc", "repo", "tag", "message", "changes", "platform"],
    mode: "stream",
    body: "bytes",
  },
  imageLoad: { method: "POST", path: "/images/load", query: ["quiet", "platform"], mode: "stream", body: "bytes" },
  imageSaveMany: { method: "GET", path: "/images/get", query: ["names", "platform"], mode: "stream" },
  imageSearch: { ...json, method: "GET", path: "/images/search", query: ["term", "limit", "filters"] },
  imagePrune: { ...json, method: "POST", path: "/images/prune", query: ["filters"] },
  imageInspect: { ...json, method: "GET", path: "/images/{name*}/json", query: ["manifests", "platform"] },
  imageHistory: { ...json, method: "GET", path: "/images/{name*}/history", query: ["platform"] },
  imageSave: { method: "GET", path: "/images/{name*}/get", query: ["platform"], mode: "stream" },
  imagePush: { method: "POST", path: "/images/{name*}/push", query: ["tag", "platform"], mode: "stream" },
  imageTag: { ...json, method: "POST", path: "/images/{name*}/tag", query: ["repo", "tag"] },
  imageRemove: { ...json, method: "DELETE", path: "/images/{name*}", query: ["force", "noprune", "platforms"] },
  imageDistribution: { ...json, method: "GET", path: "/distribution/{name*}/json" },
  session: { method: "POST", path: "/session", query: [], mode: "hijack" },
  control: { method: "POST", path: "/grpc", query: [], mode: "hijack" },
  build: {
    method: "POST",
    path: "/build",
    query: buildQuery,
    mode: "stream",
    body: "bytes",
  },
  buildPrune: {
    ...json,
    method: "POST",
    path: "/build/prune",
    query: ["all", "filters", "keep-storage", "reserved-space", "max-used-space", "min-free-space"],
  },

  networkList: { ...json, method: "GET", path: "/networks", query: ["filters"] },
  networkCreate: { ...json, method: "POST", path: "/networks/create", body: "json" },
  networkPrune: { ...json, method: "POST", path: "/networks/prune", query: ["filters"] },
  networkInspect: { ...json, method: "GET", path: "/networks/{id}", query: ["verbose", "scope"] },
  networkRemove: { ...json, method: "DELETE", path: "/networks/{id}" },
  networkConnect: { ...json, method: "POST", path: "/networks/{id}/connect", body: "json" },
  networkDisconnect: { ...json, method: "POST", path: "/networks/{id}/disconnect", body: "json" },

  // Extensions of ours.
  faultList: { ...json, method: "GET", path: "/tscompose/faults" },
  faultCreate: { ...json, method: "POST", path: "/tscompose/faults", body: "json" },
  faultRemove: { ...json, method: "DELETE", path: "/tscompose/faults/{id}" },

  volumeList: { ...json, method: "GET", path: "/volumes", query: ["filters"] },
  volumeCreate: { ...json, method: "POST", path: "/volumes/create", body: "json" },
  volumePrune: { ...json, method: "POST", path: "/volumes/prune", query: ["filters"] },
  volumeInspect: { ...json, method: "GET", path: "/volumes/{name}" },
  volumeRemove: { ...json, method: "DELETE", path: "/volumes/{name}", query: ["force"] },
} as const satisfies Readonly<Record<string, Route>>;

export type RouteName = keyof typeof routes;

/** The newest API version spoken, and the oldest a client may ask for. */
export const apiVersion = "1.51";
export const minApiVersion = "1.24";
