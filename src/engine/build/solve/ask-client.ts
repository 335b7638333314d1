/** Secrets and SSH agents that a client gives when it is asked: those that the plan names, once it is known. */
import type { BuildPlan } from "../plan/plan-build.ts";
import type { BuildRequest } from "../types.ts";
import type { Workspace } from "./workspace.ts";

export async function askClient(
  request: BuildRequest,
  plan: BuildPlan,
  workspace: Workspace,
): Promise<Pick<BuildRequest, "secrets" | "ssh">> {
  const { client } = request;
  if (client === undefined) return request;
  const runs = plan.steps.flatMap((step) => (step.kind === "run" ? [step] : []));
  const fromGit = plan.steps.some(
    (step) => step.kind === "copy" && step.actions.some(({ origin }) => origin.kind === "git"),
  );
  const secretIds = runs.flatMap(({ secrets }) => secrets.map(({ id }) => id));
  const agentIds = runs.flatMap(({ ssh }) => ssh.map(({ id }) => id));
  const [secrets, ssh] = await Promise.all([
    gather([...secretIds, ...(fromGit ? ["GIT_AUTH_TOKEN"] : [])], request.secrets, (id) => client.secret(id)),
    gather([...agentIds, ...(fromGit ? ["default"] : [])], request.ssh, (id) =>
      client.agent(id, workspace.newDirectory("agent", 0o700)),
    ),
  ]);
  return { secrets, ssh };
}

async function gather<T>(
  ids: readonly string[],
  known: ReadonlyMap<string, T>,
  ask: (id: string) => Promise<T | undefined>,
): Promise<ReadonlyMap<string, T>> {
  const missing = [...new Set(ids)].filter((id) => !known.has(id));
  const found = await Promise.all(missing.map(async (id) => [id, await ask(id)] as const));
  return new Map([...known, ...found.flatMap(([id, value]) => (value === undefined ? [] : [[id, value] as const]))]);
}
