/** Records of networks on disk: one JSON file each, written atomically. One that cannot be read is set aside and reported. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errorMessage } from "../errors.ts";
import { syncDirectory, writeAtomic } from "../host/atomic-file.ts";
import type { NetworkRecord } from "./network-record.ts";
import { isInterfaceName } from "./validate-network.ts";

export class NetworkStore {
  readonly #directory: string;

  constructor(dataDir: string) {
    this.#directory = join(dataDir, "networks");
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
  }

  /** @param report what was set aside */
  load(report: (message: string) => void): readonly NetworkRecord[] {
    return readdirSync(this.#directory)
      .filter((name) => name.endsWith(".json"))
      .flatMap((name) => {
        const path = join(this.#directory, name);
        try {
          return [parseRecord(readFileSync(path, "utf8"), name.slice(0, -".json".length))];
        } catch (error) {
          renameSync(path, `${path}.unreadable`);
          report(
            `the record of a network cannot be read and was set aside as ${path}.unreadable: ${errorMessage(error)}`,
          );
          return [];
        }
      });
  }

  save(record: NetworkRecord): void {
    writeAtomic(this.#path(record.id), JSON.stringify(record));
  }

  remove(id: string): void {
    rmSync(this.#path(id), { force: true });
    syncDirectory(this.#directory);
  }

  #path(id: string): string {
    return join(this.#directory, `${id}.json`);
  }
}

function parseRecord(text: string, id: string): NetworkRecord {
  const record = JSON.parse(text) as NetworkRecord;
  if (record.version !== 1) throw new Error(`unknown version ${String(record.version)}`);
  if (record.id !== id || !/^[0-9a-f]{64}$/.test(id)) throw new Error("its id is not its file name");
  if (record.bridgeName !== "" && !isInterfaceName(record.bridgeName)) throw new Error("invalid bridge name");
  if (!Array.isArray(record.pools)) throw new Error("no pools");
  return record;
}
