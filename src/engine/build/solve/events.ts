/** What a build tells while it runs. Types only. */
import type { Finding } from "../checks/linter.ts";
import type { BuildOutline, TargetFact } from "../checks/outline.ts";
import type { PlanLine } from "../plan/plan-build.ts";

export type BuildEvent =
  /** What is built, before it is read. */
  | { readonly kind: "dockerfile"; readonly name: string; readonly text: string }
  | {
      readonly kind: "planned";
      readonly lines: readonly PlanLine[];
      readonly findings: readonly Finding[];
      readonly steps: readonly { readonly id: number; readonly title: string }[];
      /** `[1/3] FROM docker.io/library/busybox:latest`; they are there. */
      readonly bases: readonly string[];
    }
  /** Where only that was asked for. */
  | { readonly kind: "targets"; readonly targets: readonly TargetFact[] }
  | { readonly kind: "outline"; readonly outline: BuildOutline }
  /** The step runs, it was not in the cache. */
  | { readonly kind: "started"; readonly step: number }
  | { readonly kind: "output"; readonly step: number; readonly data: Buffer }
  | {
      readonly kind: "finished";
      readonly step: number;
      readonly cached: boolean;
      /** Empty: nobody had to look at it, what needs it was imported. */
      readonly chainId: string;
      readonly ms: number;
    }
  | { readonly kind: "failed"; readonly step: number; readonly ms: number }
  /** The state before the step that failed, as an image without a name. */
  | { readonly kind: "kept"; readonly imageId: string; readonly command: readonly string[] }
  /** About a base image that is being pulled, in the words of the pull. */
  | { readonly kind: "pull"; readonly message: object }
  /** About a build cache that is imported or exported. */
  | { readonly kind: "notice"; readonly level: "warning" | "info"; readonly text: string }
  | { readonly kind: "done"; readonly imageId: string; readonly tags: readonly string[] };
