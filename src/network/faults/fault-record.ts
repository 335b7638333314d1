/** What is stored of a network fault, and which containers it means. One JSON file each. Source: issue 6, `tscompose net`. */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { errorMessage, TscomposeError } from "../../errors.ts";
import type { FaultSide, NetworkFaultBody } from "../../engine/types.ts";
import { syncDirectory, writeAtomic } from "../../host/atomic-file.ts";

export interface FaultRecord extends NetworkFaultBody {
  readonly version: 1;
  /** 12 hex digits. */
  readonly id: string;
  readonly created: string;
}

/** @throws network/invalid */
export function checkFault(body: NetworkFaultBody): void {
  const refuse = (message: string): never => {
    throw new TscomposeError("network/invalid", `invalid network fault: ${message}`);
  };
  const sides = body.Kind === "partition" ? 2 : body.Kind === "cut" ? 1 : refuse("Kind is partition or cut");
  if (body.Sides.length !== sides) refuse(`a ${body.Kind} has ${sides === 1 ? "one side" : "two sides"}`);
  for (const side of body.Sides) {
    if (side.Name === "" || Object.keys(side.Labels).length === 0) refuse("each side has a name and labels");
  }
}

export function isOnSide(side: FaultSide, labels: Readonly<Record<string, string>>): boolean {
  return Object.entries(side.Labels).every(([key, value]) => Object.hasOwn(labels, key) && labels[key] === value);
}

/** `web | db` or `web`. */
export const faultName = ({ Sides }: NetworkFaultBody): string => Sides.map(({ Name }) => Name).join(" | ");

export class FaultStore {
  readonly #directory: string;

  constructor(dataDir: string) {
    this.#directory = join(dataDir, "faults");
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
  }

  /** @param report what was set aside */
  load(report: (message: string) => void): readonly FaultRecord[] {
    const names = readdirSync(this.#directory).filter((name) => /^[0-9a-f]{12}\.json$/.test(name));
    return names.flatMap((name) => {
      const path = join(this.#directory, name);
      try {
        const record = JSON.parse(readFileSync(path, "utf8")) as FaultRecord;
        if (record.version !== 1 || `${record.id}.json` !== name) throw new Error("it is not what its name says");
        checkFault(record);
        return [record];
      } catch (error) {
        renameSync(path, `${path}.unreadable`);
        report(`the record of a network fault was set aside as ${path}.unreadable: ${errorMessage(error)}`);
        return [];
      }
    });
  }

  save(record: FaultRecord): void {
    writeAtomic(join(this.#directory, `${record.id}.json`), JSON.stringify(record));
  }

  remove(id: string): void {
    rmSync(join(this.#directory, `${id}.json`), { force: true });
    syncDirectory(this.#directory);
  }
}
