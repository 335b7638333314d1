/** The messages of BuildKit's API that are spoken here; fields that nobody asks for are left out. Pure data.
 *  Source: BuildKit api/services/control/control.proto, api/types/worker.proto, frontend/gateway/pb/gateway.proto, solver/pb/ops.proto. */
import { bytes, flag, integer, many, manyBytes, mapOf, message, one, text, texts, time } from "./protobuf.ts";
import type { MessageOf } from "./protobuf.ts";
import { rpcStatus } from "./grpc/status.ts";

const platform = message({ architecture: text(1), os: text(2), variant: text(3) });
const gcPolicy = message({
  all: flag(1),
  keepDuration: integer(2),
  reservedSpace: integer(3),
  filters: texts(4),
  maxUsedSpace: integer(5),
  minFreeSpace: integer(6),
});
const buildkitVersion = message({ package: text(1), version: text(2), revision: text(3) });
export const workerRecord = message({
  id: text(1),
  labels: mapOf(2, text),
  platforms: many(3, platform),
  gcPolicies: many(4, gcPolicy),
  version: one(5, buildkitVersion),
});
export const listWorkersResponse = message({ records: many(1, workerRecord) });
export const infoResponse = message({ version: one(1, buildkitVersion) });

export const usageRecord = message({
  id: text(1),
  mutable: flag(2),
  inUse: flag(3),
  size: integer(4),
  createdAt: time(6),
  lastUsedAt: time(7),
  usageCount: integer(8),
  description: text(9),
  recordType: text(10),
  shared: flag(11),
});
export const diskUsageRequest = message({ filters: texts(1) });
export const diskUsageResponse = message({ records: many(1, usageRecord) });
export const pruneRequest = message({
  filters: texts(1),
  all: flag(2),
  keepDuration: integer(3),
  reservedSpace: integer(4),
  maxUsedSpace: integer(5),
  minFreeSpace: integer(6),
});

/** LLB. `source` is one of the kinds of an operation; others are of no interest. */
const input = message({ digest: text(1), index: integer(2) });
const sourceOp = message({ identifier: text(1) });
export const operation = message({ inputs: many(1, input), source: one(3, sourceOp) });
const opMetadata = message({ description: mapOf(2, text) });
export const definition = message({
  operations: manyBytes(1),
  metadata: mapOf(2, (number) => one(number, opMetadata)),
});
export type Definition = Partial<MessageOf<typeof definition>>;

const exporter = message({ type: text(1), attributes: mapOf(2, text) });
const cacheEntry = message({ type: text(1), attributes: mapOf(2, text) });
const cacheOptions = message({ exports: many(4, cacheEntry), imports: many(5, cacheEntry) });
export const solveRequest = message({
  ref: text(1),
  definition: one(2, definition),
  exporter: text(3),
  exporterAttributes: mapOf(4, text),
  session: text(5),
  frontend: text(6),
  frontendAttributes: mapOf(7, text),
  cache: one(8, cacheOptions),
  entitlements: texts(9),
  frontendInputs: mapOf(10, (number) => one(number, definition)),
  isInternal: flag(11),
  exporters: many(13, exporter),
});
export type SolveRequest = MessageOf<typeof solveRequest>;
export const solveResponse = message({ exporterResponse: mapOf(1, text) });

export const statusRequest = message({ ref: text(1) });
const vertex = message({
  digest: text(1),
  inputs: texts(2),
  name: text(3),
  cached: flag(4),
  started: time(5),
  completed: time(6),
  error: text(7),
});
export type Vertex = Partial<MessageOf<typeof vertex>>;
const vertexStatus = message({
  id: text(1),
  vertex: text(2),
  name: text(3),
  current: integer(4),
  total: integer(5),
  timestamp: time(6),
  started: time(7),
  completed: time(8),
});
const vertexLog = message({ vertex: text(1), timestamp: time(2), stream: integer(3), data: bytes(4) });
const position = message({ line: integer(1), character: integer(2) });
const range = message({ start: one(1, position), end: one(2, position) });
const sourceInfo = message({ filename: text(1), data: bytes(2), language: text(4) });
const vertexWarning = message({
  vertex: text(1),
  level: integer(2),
  short: bytes(3),
  detail: manyBytes(4),
  url: text(5),
  info: one(6, sourceInfo),
  ranges: many(7, range),
});
export const statusResponse = message({
  vertexes: many(1, vertex),
  statuses: many(2, vertexStatus),
  logs: many(3, vertexLog),
  warnings: many(4, vertexWarning),
});
export type StatusResponse = Partial<MessageOf<typeof statusResponse>>;

export const listenHistoryRequest = message({
  activeOnly: flag(1),
  ref: text(2),
  earlyExit: flag(3),
  filters: texts(4),
  limit: integer(5),
});
const historyRecord = message({
  ref: text(1),
  frontend: text(2),
  frontendAttributes: mapOf(3, text),
  exporters: many(4, exporter),
  error: one(5, rpcStatus),
  createdAt: time(6),
  completedAt: time(7),
  exporterResponse: mapOf(9, text),
  numCachedSteps: integer(15),
  numTotalSteps: integer(16),
  numCompletedSteps: integer(17),
  numWarnings: integer(19),
});
export type HistoryRecord = Partial<MessageOf<typeof historyRecord>>;
/** Type: 0 started, 1 complete, 2 deleted. */
export const historyEvent = message({ type: integer(1), record: one(2, historyRecord) });
export const updateHistoryRequest = message({ ref: text(1), pinned: flag(2), delete: flag(3) });

const capability = message({ id: text(1), enabled: flag(2) });
export const pongResponse = message({
  frontendCaps: many(1, capability),
  llbCaps: many(2, capability),
  workers: many(3, workerRecord),
});
export const bridgeSolveRequest = message({
  definition: one(1, definition),
  frontend: text(2),
  frontendOptions: mapOf(3, text),
  cacheImports: many(12, cacheEntry),
  frontendInputs: mapOf(13, (number) => one(number, definition)),
  evaluate: flag(14),
});
const reference = message({ id: text(1), definition: one(2, definition) });
const references = message({ refs: mapOf(1, (number) => one(number, reference)) });
const bridgeResult = message({ ref: one(3, reference), refs: one(4, references), metadata: mapOf(10, bytes) });
export type BridgeResult = Partial<MessageOf<typeof bridgeResult>>;
export const bridgeSolveResponse = message({ result: one(3, bridgeResult) });
export const returnRequest = message({ result: one(1, bridgeResult), error: one(2, rpcStatus) });
