/** Bounds on what a compose file may cost. */
export const maxFileBytes = 8 * 1024 * 1024;
/** Per document, aliases and merge keys counted as often as they are used. */
export const maxNodes = 50_000;
export const maxDepth = 100;
