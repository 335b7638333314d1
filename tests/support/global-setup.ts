/** Runs once before the projects that need root: says in one line what is missing instead of failing in each test. */
export function setup(): void {
  if (process.getuid?.() !== 0) throw new Error("integration and scenario tests need root: run `sudo npm test`");
}
