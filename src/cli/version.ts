declare const __TSCOMPOSE_VERSION__: string | undefined;

/** Of package.json, put in by the build; sources that are run as they are have none. */
export const version = typeof __TSCOMPOSE_VERSION__ === "string" ? __TSCOMPOSE_VERSION__ : "0.0.0";
