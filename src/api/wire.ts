/** What goes over the wire, for clients: the engine's vocabulary, which is the Docker Engine API's. Types only. */
export type * from "../engine/types.ts";
export type { ArchiveStat, DistributionInspect, SearchResult, WaitCondition, WaitResult } from "../engine/engine.ts";
