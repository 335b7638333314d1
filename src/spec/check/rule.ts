import type { DiagnosticCode } from "../diagnostic.ts";
import type { Project, Service } from "../model.ts";

/** One complaint; `path` says where in the model, from which the place in the file is found. */
export interface Complaint {
  readonly code: DiagnosticCode;
  readonly message: string;
  readonly path: readonly string[];
  readonly expected?: string;
  readonly suggestion?: string | undefined;
}

export type ServiceRule = (name: string, service: Service, project: Project) => readonly Complaint[];
export type ProjectRule = (project: Project) => readonly Complaint[];
