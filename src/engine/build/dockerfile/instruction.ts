/** What a Dockerfile says, typed: stages and their instructions, before any variable is replaced. */
import type { LineRange } from "./syntax-tree.ts";

interface Common extends LineRange {
  /** The instruction as written, continuation lines joined. */
  readonly source: string;
  /** The keyword as written. */
  readonly keyword: string;
  readonly comments: readonly string[];
}

export interface KeyValue {
  readonly key: string;
  readonly value: string;
  /** Written as `KEY value` rather than `KEY=value`. */
  readonly legacy: boolean;
}

export interface ArgDefinition {
  readonly key: string;
  /** Undefined for an ARG without a default. */
  readonly value: string | undefined;
  /** The comment above that starts with the name. */
  readonly doc: string;
}

export interface InlineFile {
  readonly name: string;
  readonly content: string;
  readonly chomp: boolean;
}

/** A command line of RUN, CMD or ENTRYPOINT. */
export interface CommandLine {
  readonly words: readonly string[];
  /** The shell form: `words` is one text for the shell of the stage. */
  readonly shell: boolean;
  readonly heredocs: readonly InlineFile[];
}

export interface SourceContent {
  readonly path: string;
  readonly content: string;
  readonly expand: boolean;
}

interface CopyCommon extends Common {
  readonly sources: readonly string[];
  readonly contents: readonly SourceContent[];
  readonly destination: string;
  /** Empty where not given, as are the texts below. */
  readonly chown: string;
  readonly chmod: string;
  readonly link: boolean;
  readonly exclude: readonly string[];
}

export interface CopyInstruction extends CopyCommon {
  readonly kind: "copy";
  readonly from: string;
  readonly parents: boolean;
}

export interface AddInstruction extends CopyCommon {
  readonly kind: "add";
  readonly checksum: string;
  readonly keepGitDir: boolean | undefined;
  readonly unpack: boolean | undefined;
}

export type NetworkMode = "default" | "none" | "host";

export interface DeviceRequest {
  readonly name: string;
  readonly required: boolean;
}

export interface RunInstruction extends Common {
  readonly kind: "run";
  readonly command: CommandLine;
  /** The values of `--mount` as written; `parseRunMount` reads one once variables are known. */
  readonly mounts: readonly string[];
  readonly devices: readonly DeviceRequest[];
  readonly network: NetworkMode;
  readonly security: "sandbox" | "insecure";
  readonly flagsUsed: readonly string[];
}

export interface Healthcheck {
  /** `["NONE"]`, `["CMD", ...words]` or `["CMD-SHELL", text]`. */
  readonly test: readonly string[];
  /** Nanoseconds; 0 where not given. */
  readonly intervalNs: number;
  readonly timeoutNs: number;
  readonly startPeriodNs: number;
  readonly startIntervalNs: number;
  /** 0 where not given. */
  readonly retries: number;
}

export type Instruction =
  | CopyInstruction
  | AddInstruction
  | RunInstruction
  | (Common & { readonly kind: "cmd" | "entrypoint"; readonly command: CommandLine })
  | (Common & { readonly kind: "env" | "label"; readonly pairs: readonly KeyValue[] })
  | (Common & { readonly kind: "arg"; readonly args: readonly ArgDefinition[] })
  | (Common & { readonly kind: "expose"; readonly ports: readonly string[] })
  | (Common & { readonly kind: "healthcheck"; readonly healthcheck: Healthcheck })
  | (Common & { readonly kind: "maintainer"; readonly maintainer: string })
  | (Common & { readonly kind: "onbuild"; readonly expression: string })
  | (Common & { readonly kind: "shell"; readonly shell: readonly string[] })
  | (Common & { readonly kind: "stopsignal"; readonly signal: string })
  | (Common & { readonly kind: "user"; readonly user: string })
  | (Common & { readonly kind: "volume"; readonly volumes: readonly string[] })
  | (Common & { readonly kind: "workdir"; readonly path: string });

type OfKind<I, K> = I extends { readonly kind: infer T } ? (K extends T ? I : never) : never;

/** The member of the union that a kind belongs to. */
export type InstructionOf<K extends Instruction["kind"]> = OfKind<Instruction, K>;

export type ArgInstruction = Common & { readonly kind: "arg"; readonly args: readonly ArgDefinition[] };

export interface Stage extends LineRange {
  readonly base: string;
  /** In lower case; empty for a stage without a name. */
  readonly name: string;
  readonly platform: string;
  readonly keyword: string;
  readonly source: string;
  readonly comments: readonly string[];
  readonly doc: string;
  readonly instructions: readonly Instruction[];
}

/** Every keyword, in lower case. */
export const keywords = [
  "add",
  "arg",
  "cmd",
  "copy",
  "entrypoint",
  "env",
  "expose",
  "from",
  "healthcheck",
  "label",
  "maintainer",
  "onbuild",
  "run",
  "shell",
  "stopsignal",
  "user",
  "volume",
  "workdir",
] as const;

export type Keyword = (typeof keywords)[number];

export function isKeyword(word: string): word is Keyword {
  return (keywords as readonly string[]).includes(word);
}
