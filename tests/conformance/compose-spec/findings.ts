/** Small projects that an earlier version got wrong, or that are easy to get wrong. Run against Docker Compose. */
export const findings: readonly { readonly name: string; readonly files: Readonly<Record<string, string>> }[] = [
  {
    name: "a reset key under a merge key lets the merged value through and still drops the base's",
    files: {
      "compose.yaml": "services:\n  a:\n    image: x\n    environment: {BASE: '1'}\n",
      "compose.override.yaml":
        "x-s: &s {environment: {M: m}}\nservices:\n  a:\n    <<: *s\n    environment: !reset null\n",
    },
  },
  {
    name: "a service that extends an empty one keeps its extends",
    files: {
      "compose.yaml": "services:\n  a:\n    image: x\n    extends: {file: base.yaml, service: b}\n",
      "base.yaml": "services:\n  b:\n",
    },
  },
  {
    name: "list-form variables of an include are answered from its own env file, map form from the project's",
    files: {
      "compose.yaml": "include: [sub/compose.yaml]\n",
      "sub/compose.yaml":
        "services:\n  a:\n    image: x\n    environment: [ONLY_SUB]\n  b:\n    image: x\n    environment: {ONLY_SUB: }\n",
      "sub/.env": "ONLY_SUB=sub\n",
    },
  },
  {
    name: "numbers of YAML 1.1 keep their value in labels",
    files: {
      "compose.yaml":
        "services:\n  a:\n    image: x\n    labels: {a: 0777, b: 0x1F, c: 1_000, d: 1e6, e: 089, f: yes, g: -0}\n",
    },
  },
  {
    name: "an operator counts where it stands first",
    files: { "compose.yaml": 'services:\n  a:\n    image: "${A-b:?c}-${SET:+d}-${B:-${C:-{}}}-$$"\n' },
  },
  {
    name: "a lone volume without a target is refused",
    files: { "compose.yaml": "services:\n  a:\n    image: x\n    volumes: [{type: bind, source: /}]\n" },
  },
  {
    name: "port zero in the short form is no target",
    files: { "compose.yaml": "services:\n  a:\n    image: x\n    ports: ['80:0']\n" },
  },
  {
    name: "port zero in the long form is one",
    files: { "compose.yaml": "services:\n  a:\n    image: x\n    ports: [{target: 0}]\n" },
  },
];
