import type { Project } from "../model.ts";
import type { Report } from "../report.ts";
import { nearest } from "../tree.ts";
import type { Node } from "../tree.ts";
import {
  containerNamesAreUnique,
  hasSource,
  healthTestKind,
  mountsAreDistinct,
  nameIsForOne,
  oneDockerfile,
  hostAccess,
  oneNetworking,
  oneScale,
  platformIsBuilt,
  sameLimits,
  scaleIsCount,
  secretsHaveSource,
  watchHasTarget,
} from "./conflicts.ts";
import { noCycles } from "./cycles.ts";
import {
  buildContextsExist,
  buildSecretsExist,
  configsExist,
  dependenciesExist,
  modelsExist,
  networkModeExists,
  networksExist,
  secretsExist,
  volumesExist,
} from "./references.ts";
import type { Complaint, ProjectRule, ServiceRule } from "./rule.ts";

/** Every rule that takes more than one value to break. All are run, on the services that are on. */
export const serviceRules: readonly ServiceRule[] = [
  hasSource,
  oneDockerfile,
  buildContextsExist,
  platformIsBuilt,
  hostAccess,
  oneNetworking,
  networksExist,
  healthTestKind,
  dependenciesExist,
  networkModeExists,
  volumesExist,
  buildSecretsExist,
  configsExist,
  modelsExist,
  secretsExist,
  oneScale,
  scaleIsCount,
  sameLimits,
  nameIsForOne,
  watchHasTarget,
  mountsAreDistinct,
];

export const projectRules: readonly ProjectRule[] = [secretsHaveSource, noCycles, containerNamesAreUnique];

export function checkConsistency(project: Project, tree: Node, report: Report): void {
  const say = (complaints: readonly Complaint[]): void => {
    for (const complaint of complaints) report.error({ ...complaint, at: nearest(tree, complaint.path) });
  };
  for (const [name, service] of Object.entries(project.services)) {
    for (const rule of serviceRules) say(rule(name, service, project));
  }
  for (const rule of projectRules) say(rule(project));
}
