/** Events of a build to the lines that our own client takes: `aux.build`, see `compose/build-progress.ts`. Pure. */
import { StringDecoder } from "node:string_decoder";
import type { ProgressMessage } from "../../types.ts";
import type { BuildEvent } from "./events.ts";

export class StepProgress {
  readonly #decoders = new Map<number, StringDecoder>();
  #bases = 0;

  messages(event: BuildEvent): readonly ProgressMessage[] {
    switch (event.kind) {
      case "planned": {
        const bases = event.bases.map((title) => ({ id: -(this.#bases += 1), title }));
        return [
          told({ kind: "plan", steps: [...bases, ...event.steps] }),
          ...bases.map(({ id }) => told({ kind: "finished", step: id, cached: true, ms: 0 })),
        ];
      }
      case "started":
      case "failed":
        return [told(event)];
      case "output": {
        const text = this.#decoder(event.step).write(event.data);
        return text === "" ? [] : [told({ kind: "output", step: event.step, text })];
      }
      case "finished":
        return [told({ kind: "finished", step: event.step, cached: event.cached, ms: event.ms })];
      case "kept":
        return [told({ kind: "debug", imageId: event.imageId, command: event.command })];
      case "pull":
        return [event.message];
      case "notice":
        return [event.level === "warning" ? { aux: { warning: event.text } } : { stream: `${event.text}\n` }];
      case "dockerfile":
      case "targets":
      case "outline":
        return [];
      case "done":
        return [{ aux: { ID: event.imageId } }];
    }
  }

  #decoder(step: number): StringDecoder {
    const known = this.#decoders.get(step);
    if (known !== undefined) return known;
    const decoder = new StringDecoder("utf8");
    this.#decoders.set(step, decoder);
    return decoder;
  }
}

function told(build: object): ProgressMessage {
  return { aux: { build } };
}
