/** What planning knows of a stage while it goes through its instructions. The one mutable thing of planning. */
import type { Instruction, Stage } from "../dockerfile/instruction.ts";
import type { LineRange } from "../dockerfile/syntax-tree.ts";
import type { Platform } from "../../images/platform.ts";
import type { ImageDraft } from "./image-draft.ts";
import type { NamedContext } from "./options.ts";
import type { Source } from "./steps.ts";

export interface StageCommand {
  readonly instruction: Instruction;
  /** Of COPY --from: one. Of RUN: one a mount, undefined for mounts without `from`. */
  readonly sources: readonly (StageState | undefined)[];
  readonly onbuild: boolean;
}

export interface BuildArg {
  readonly key: string;
  readonly value: string | undefined;
}

export interface StageState {
  readonly stage: Stage;
  /** Variables replaced. */
  readonly baseName: string;
  /** As shown: its name, or `stage-0`; empty where there is only one stage. */
  shownName: string;
  /** The stage that it builds on. */
  readonly base: StageState | undefined;
  /** False for an image that a COPY --from or a mount names. */
  readonly declared: boolean;
  readonly namedContext: NamedContext | undefined;
  commands: readonly StageCommand[];
  readonly dependencies: Map<StageState, LineRange>;
  platform: Platform | undefined;
  /** The files so far. */
  source: Source;
  image: ImageDraft;
  /** Variables that words see: ENV and ARG together. */
  env: Map<string, string>;
  buildArgs: readonly BuildArg[];
  workdirSet: boolean;
  /** Where CMD, ENTRYPOINT and HEALTHCHECK were last seen in this stage. */
  readonly lastSeen: Map<"cmd" | "entrypoint" | "healthcheck", LineRange>;
  initialised: boolean;
  onbuildDone: boolean;
  /** All its instructions were gone through: others may copy from it. */
  dispatched: boolean;
  titleIndex: number;
  titleTotal: number;
  readonly ignoreCache: boolean;
}
