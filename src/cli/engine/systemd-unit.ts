/** Pure: the unit that keeps an engine running from boot on. Source: systemd.service(5), systemd.exec(5), systemd.kill(5). */
import { engineArgv, engineEnvironment } from "./reexec.ts";
import type { Environment } from "./roots.ts";

/** Containers outlive the engine: KillMode=process ends only the engine itself. */
export function renderUnit(execPath: string, entry: string, env: Environment): string {
  const variables = Object.entries({ ...engineEnvironment(env), TSCOMPOSE_ENGINE_IDLE: "0" });
  return [
    "[Unit]",
    "Description=tscompose engine",
    "Wants=network-online.target",
    "After=network-online.target local-fs.target",
    "",
    "[Service]",
    "Type=exec",
    ...variables.map(([name, value]) => `Environment=${quote(`${name}=${value}`)}`),
    `ExecStart=${engineArgv(execPath, entry).map(quote).join(" ")}`,
    "Restart=on-failure",
    "RestartSec=1",
    "KillMode=process",
    "Delegate=yes",
    "TasksMax=infinity",
    "LimitNOFILE=1048576",
    "OOMScoreAdjust=-500",
    "",
    "[Install]",
    "WantedBy=multi-user.target",
    "",
  ].join("\n");
}

/** systemd expands `%` and `$`, and splits at blanks outside quotes. */
function quote(text: string): string {
  const escaped = text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("%", "%%").replaceAll("$", "$$$$");
  return /^[\w@%+=:,./-]+$/.test(escaped) ? escaped : `"${escaped}"`;
}
