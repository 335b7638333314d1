/** Names of containers. */
import { randomInt } from "node:crypto";
import { TscomposeError } from "../../../errors.ts";

/** Without the leading slash. @throws request/invalid with Docker's text */
export function checkContainerName(name: string): void {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/.test(name) && name.length <= 255) return;
  throw new TscomposeError(
    "request/invalid",
    `Invalid container name (${name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    { hint: "use at least two letters, digits, dashes, dots or underscores" },
  );
}

const adjectives = (
  "able bold brave bright brisk calm clear clever cool deft eager early easy fair fast fine firm fond free fresh glad good " +
  "grand great happy hardy keen kind late light lively loyal lucky merry mild neat noble plain polite proud quick quiet rapid " +
  "ready rich sharp shy silent simple smart smooth solid sound spry steady still strong sunny sure swift tidy true warm wise"
).split(" ");
const animals = (
  "badger bear beaver bee bison boar bunting carp cat cicada cod crane cricket crow deer dove duck eagle eel elk falcon finch " +
  "fox frog gecko goat goose grouse gull hare hawk hedgehog heron horse ibex jay kite lark lemur lion lizard lynx magpie marten " +
  "mink mole moose moth mouse newt orca otter owl perch pike plover puffin quail rabbit raven robin salmon seal shrew snail " +
  "snipe sparrow squid stoat stork swan swift tern tiger toad trout tuna turtle vole walrus wasp weasel whale wolf wren yak"
).split(" ");

/** Two words that are not taken. */
export function randomName(taken: (name: string) => boolean): string {
  for (;;) {
    const name = `${adjectives[randomInt(adjectives.length)]}_${animals[randomInt(animals.length)]}`;
    if (!taken(name)) return name;
    const numbered = `${name}${randomInt(1_000_000)}`;
    if (!taken(numbered)) return numbered;
  }
}
