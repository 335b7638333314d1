/** A store with its own data root for a test, and ways to run its streams to the end. */
import { createReadStream, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EngineEvent } from "../../../src/engine/events.ts";
import { createImageStore } from "../../../src/engine/images/store.ts";
import type { ProgressMessage, RegistryCredentials } from "../../../src/engine/types.ts";

export type TestStore = ReturnType<typeof createImageStore>;

export interface StoreKit {
  readonly root: string;
  readonly dataRoot: string;
  store: TestStore;
  readonly events: EngineEvent[];
  readonly warnings: string[];
  /** Closes the store and opens it again on the same data. */
  reopen(options?: { readonly env?: Readonly<Record<string, string>>; readonly workerUrl?: URL }): Promise<void>;
  load(path: string): Promise<ProgressMessage[]>;
  pull(reference: string, options?: { readonly credentials?: RegistryCredentials }): Promise<ProgressMessage[]>;
  push(
    reference: string,
    options?: { readonly credentials?: RegistryCredentials; readonly tag?: string },
  ): Promise<ProgressMessage[]>;
  dispose(): Promise<void>;
}

export function makeStore(options: { readonly workerUrl?: URL } = {}): StoreKit {
  const root = mkdtempSync(join(tmpdir(), "images-"));
  const dataRoot = join(root, "data");
  const events: EngineEvent[] = [];
  const warnings: string[] = [];
  const open = (more: { readonly env?: Readonly<Record<string, string>>; readonly workerUrl?: URL }): TestStore =>
    createImageStore({
      dataRoot,
      runRoot: join(root, "run"),
      log: (message) => warnings.push(message),
      emit: (event) => events.push(event),
      env: {},
      ...more,
    });
  const signal = new AbortController().signal;
  const kit: StoreKit = {
    root,
    dataRoot,
    store: open(options),
    events,
    warnings,
    reopen: async (more = {}) => {
      await kit.store.close();
      kit.store = open({ ...options, ...more });
    },
    load: (path) => drain(kit.store.load(createReadStream(path))),
    pull: async (reference, more = {}) =>
      drain(await kit.store.pull({ reference, platform: undefined, credentials: more.credentials, signal })),
    push: async (reference, more = {}) =>
      drain(
        await kit.store.push({ reference, tag: more.tag, platform: undefined, credentials: more.credentials, signal }),
      ),
    dispose: async () => {
      await kit.store.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
  return kit;
}

export async function drain<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of stream) items.push(item);
  return items;
}

/** `id: status` of each message but the counting ones. */
export function texts(messages: readonly ProgressMessage[]): string[] {
  const counting = ["Downloading", "Extracting", "Pushing"];
  return messages
    .filter(({ status }) => status !== undefined && !counting.includes(status))
    .map(({ id, status }) => (id === undefined ? (status ?? "") : `${id}: ${status}`));
}
