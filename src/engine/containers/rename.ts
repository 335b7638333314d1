/** Gives a container another name. */
import { TscomposeError } from "../../errors.ts";
import { containerAttributes } from "../events.ts";
import type { Container } from "./container.ts";
import type { ContainerContext } from "./context.ts";
import { checkContainerName } from "./create/name.ts";

/** @throws request/invalid, container/name-in-use */
export function renameContainer(ctx: ContainerContext, container: Container, wanted: string): void {
  const name = wanted.replace(/^\//, "");
  const oldName = container.name;
  if (name === "" || name === oldName) {
    throw new TscomposeError("request/invalid", "Renaming a container with the same name as its current name", {
      hint: "choose another name",
    });
  }
  checkContainerName(name);
  ctx.registry.reserveName(name, container.id);
  try {
    container.change({ name });
    container.persist();
  } catch (error) {
    container.change({ name: oldName });
    ctx.registry.releaseName(name, container.id);
    throw error;
  }
  ctx.registry.releaseName(oldName, container.id);
  if (container.state.sandbox !== undefined) ctx.networking.rename(container.id, name);
  const attributes = containerAttributes(container.record, { oldName: `/${oldName}` });
  ctx.publish({ type: "container", action: "rename", id: container.id, attributes });
}
