/** Waiting for a container's end. Source: Docker's wait conditions. */
import type { WaitCondition, WaitResult } from "../engine.ts";
import type { Container } from "./container.ts";

/** The result comes later, or never for a container that never ends. */
export function waitFor(container: Container, condition: WaitCondition): Promise<WaitResult> {
  const result = (): WaitResult => {
    const { exitCode, error } = container.state;
    return { StatusCode: exitCode, ...(error === "" ? {} : { Error: { Message: error } }) };
  };
  if (condition === "not-running" && !container.alive && container.state.status !== "restarting") {
    return Promise.resolve({ StatusCode: container.state.exitCode });
  }
  return new Promise((resolve) => {
    const stops: (() => void)[] = [];
    const finish = (value: WaitResult): void => {
      stops.splice(0).forEach((stop) => stop());
      resolve(value);
    };
    if (container.removed) return finish(result());
    stops.push(container.onRemoved(() => finish({ StatusCode: container.state.exitCode })));
    if (condition === "removed") return;
    stops.push(
      container.onUpdate((state, before) => {
        const ended = isUp(before.status) && !isUp(state.status);
        const settled = condition === "not-running" ? ended && state.status !== "restarting" : ended;
        const gaveUp = condition === "not-running" && before.status === "restarting" && state.status === "exited";
        if (settled || gaveUp) finish({ StatusCode: state.exitCode });
      }),
    );
  });
}

const isUp = (status: string): boolean => status === "running" || status === "paused";
