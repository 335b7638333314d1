/** Why a runtime could not start a command, in Docker's words: clients look for them. Pure.
 *  Sources: Docker Engine 29.7; messages of crun 1.8 and runc 1.1. */

export interface ExecFailure {
  readonly message: string;
  /** 127: the program or its working directory does not exist; 126: it cannot be run. */
  readonly exitCode: 126 | 127;
}

/** `log`: the runtime's log of this start, JSON lines or text; `command`: the program that was asked for. */
export function explainExecFailure(log: string, command: string): ExecFailure {
  const reason = translate(lastMessage(log), command);
  const missing = /executable file not found|no such file or directory/.test(reason);
  return {
    message: `OCI runtime exec failed: exec failed: unable to start container process: ${reason}`,
    exitCode: missing ? 127 : 126,
  };
}

function lastMessage(log: string): string {
  const lines = log.split("\n").filter((line) => line.trim() !== "");
  const errors = lines.map(parseLine).filter(({ level }) => level === "error" || level === "");
  return errors.at(-1)?.message ?? "the runtime gave no reason";
}

function parseLine(line: string): { readonly level: string; readonly message: string } {
  try {
    const { level, msg } = JSON.parse(line) as { level?: unknown; msg?: unknown };
    if (typeof msg === "string") return { level: typeof level === "string" ? level : "", message: msg };
  } catch {
    // plain text
  }
  return { level: "", message: line };
}

function translate(message: string, command: string): string {
  const quoted = JSON.stringify(command);
  if (/^executable file [`'].*[`'] not found/.test(message)) {
    return command.includes("/")
      ? `exec: ${quoted}: stat ${command}: no such file or directory`
      : `exec: ${quoted}: executable file not found in $PATH`;
  }
  const open = /^(?:open executable|exec(?:ve)?(?: .*)?): (.+)$/.exec(message)?.[1];
  if (open !== undefined && !message.startsWith("exec failed")) return `exec: ${quoted}: ${open.toLowerCase()}`;
  const directory = /^chdir [`'](.*)[`']: (.+)$/.exec(message);
  if (directory !== null) {
    return `chdir to cwd (${JSON.stringify(directory[1])}) set in config.json failed: ${directory[2]?.toLowerCase()}`;
  }
  return message.replace(/^exec failed: /, "").replace(/^unable to start container process: /, "");
}
