import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { matchRoute, splitVersion } from "../../../src/api/router.ts";
import { routes } from "../../../src/api/routes.ts";
import type { Route, RouteName } from "../../../src/api/routes.ts";
import { buildTarget } from "../../../src/client/request-target.ts";

describe("the router", () => {
  it("finds images whose names hold slashes and ports", () => {
    expect(matchRoute("GET", "/images/localhost:5000/a/b:1/json")).toEqual({
      name: "imageInspect",
      parameters: { name: "localhost:5000/a/b:1" },
    });
    expect(matchRoute("POST", "/images/localhost:5000/a/push")?.parameters).toEqual({ name: "localhost:5000/a" });
    expect(matchRoute("GET", "/images/json")?.name).toBe("imageList");
  });

  it("takes a slash at the end", () => {
    expect(matchRoute("GET", "/networks/")?.name).toBe("networkList");
  });

  it("does not take an encoded slash for a separator, nor broken encoding for a name", () => {
    expect(matchRoute("GET", "/containers/a%2Fb/json")?.parameters).toEqual({ id: "a/b" });
    expect(matchRoute("GET", "/containers/%zz/json")).toBeUndefined();
  });

  it("finds each route by the path that the client builds for it", () => {
    const names = Object.keys(routes) as RouteName[];
    const word = fc.stringMatching(/^[a-z0-9][a-z0-9_.:@-]{0,20}$/);
    fc.assert(
      fc.property(fc.constantFrom(...names), word, (name, value) => {
        const route: Route = routes[name];
        const { path } = buildTarget(route, { id: value, name: value }, {});
        const reserved = ["json", "create", "prune", "get", "search", "load"].includes(value);
        if (!reserved) expect(matchRoute(route.method, path)?.name).toBe(name);
      }),
    );
  });

  it("takes versions off", () => {
    expect(splitVersion("/v1.43/info")).toEqual({ path: "/info", minor: 43 });
    expect(splitVersion("/info")).toEqual({ path: "/info", minor: 51 });
    expect(splitVersion("/v2.0/info")).toHaveProperty("error");
    expect(splitVersion("/v1.23/info")).toHaveProperty("error");
  });
});
