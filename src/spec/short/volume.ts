import { cleanPath } from "../paths.ts";

/** `[SOURCE:]TARGET[:OPTION,...]` as Docker Compose reads it: unknown options are dropped without a word. */
export interface VolumeSpec {
  type: "bind" | "volume";
  source: string;
  target: string;
  readOnly: boolean;
  /** Undefined where the specification is too short to say. */
  kind: "options" | "bare";
  selinux: string;
  propagation: string;
  nocopy: boolean;
  unknown: string[];
}

const propagations = new Set(["rprivate", "private", "rshared", "shared", "rslave", "slave"]);

/** The message of what is wrong, or the parts. */
export function parseVolumeSpec(spec: string): VolumeSpec | string {
  const volume: VolumeSpec = {
    type: "volume",
    source: "",
    target: "",
    readOnly: false,
    kind: "options",
    selinux: "",
    propagation: "",
    nocopy: false,
    unknown: [],
  };
  if (spec === "") return "empty volume specification";
  if (spec.length <= 2 && new TextEncoder().encode(spec).length <= 2) return { ...volume, target: spec, kind: "bare" };
  const sections = splitSections(spec);
  for (const [index, section] of sections.entries()) {
    const problem = takeSection(volume, section, index === sections.length - 1);
    if (problem !== undefined) return problem;
  }
  volume.type = isFilePath(volume.source) ? "bind" : "volume";
  return volume;
}

/** No variable, and no section of one character that could be a drive. */
const plain = /^(?:[^:$]{2,}(?::|$))+$/;

function splitSections(spec: string): string[] {
  if (plain.test(spec) && !spec.endsWith(":")) return spec.split(":");
  const sections: string[] = [];
  let buffer = "";
  let nested = 0;
  const characters = Array.from(spec);
  for (const [index, character] of characters.entries()) {
    if (character === "$" && characters[index + 1] === "{") nested++;
    else if (character === "}" && nested > 0) nested--;
    else if (character === ":" && nested === 0 && !/^\p{L}$/u.test(buffer)) {
      sections.push(buffer);
      buffer = "";
      continue;
    }
    buffer += character;
  }
  return [...sections, buffer];
}

function takeSection(volume: VolumeSpec, section: string, last: boolean): string | undefined {
  if (section === "") return "empty section between colons";
  if (volume.source === "" && last) volume.target = section;
  else if (volume.source === "") volume.source = section;
  else if (volume.target === "") volume.target = section;
  else if (!last) return "too many colons";
  else for (const option of section.split(",")) takeOption(volume, option);
  return undefined;
}

function takeOption(volume: VolumeSpec, option: string): void {
  if (option === "ro" || option === "rw") volume.readOnly = option === "ro";
  else if (option === "nocopy") volume.nocopy = true;
  else if (option === "z" || option === "Z") volume.selinux = option;
  else if (propagations.has(option)) volume.propagation = option;
  else volume.unknown.push(option);
}

function isFilePath(source: string): boolean {
  return /^[./~]/.test(source) || source.startsWith("\\\\") || /^\p{L}:/u.test(source);
}

export function cleanTarget(target: string): string {
  return target === "" ? "" : cleanPath(target);
}
