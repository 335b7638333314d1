/** The size of a container's terminal, which its monitor holds. */
import { closeSync, constants, openSync, writeSync } from "node:fs";
import { errnoOf, TscomposeError } from "../../errors.ts";
import type { Container } from "../containers/container.ts";

const maxTerminalSize = 1000;

/** Sets the size of the container's terminal; nothing for one without.
 *  @throws container/wrong-status when it does not run, request/invalid for a size that the monitor refuses */
export function resizeContainer(container: Container, height: number, width: number): void {
  if (!container.alive) throw new TscomposeError("container/wrong-status", `container ${container.id} is not running`);
  if (container.record.config.Tty !== true) return;
  const ok = [height, width].every((n) => Number.isInteger(n) && n >= 0 && n <= maxTerminalSize);
  if (!ok)
    throw new TscomposeError(
      "request/invalid",
      `invalid terminal size: ${height} x ${width} (at most ${maxTerminalSize})`,
    );
  try {
    // Source: conmon, ctrl.c: type 1 sets the size.
    const fd = openSync(container.paths.controlFifo, constants.O_WRONLY | constants.O_NONBLOCK);
    try {
      writeSync(fd, `1 ${height} ${width}\n`);
    } finally {
      closeSync(fd);
    }
  } catch (error) {
    if (!["ENXIO", "ENOENT"].includes(errnoOf(error) ?? "")) throw error;
    throw new TscomposeError("container/wrong-status", `container ${container.id} is not running`, { cause: error });
  }
}
