import { describe, expect, it } from "vitest";
import { codeOf, toProblem } from "../../../src/api/problem.ts";
import { TscomposeError } from "../../../src/errors.ts";

describe("problems", () => {
  it("carry status, Docker's text, code and hint", () => {
    const error = new TscomposeError("container/not-found", "no such container: x", { hint: "look at ps" });
    expect(toProblem(error)).toEqual({
      status: 404,
      body: { message: "No such container: x", code: "container/not-found", hint: "look at ps" },
    });
  });

  it("take the status of the details where one is given", () => {
    const error = new TscomposeError("request/unsupported", "x", { details: { httpStatus: 503 } });
    expect(toProblem(error).status).toBe(503);
  });

  it("are 500 for what nobody expected", () => {
    expect(toProblem(new RangeError("oops"))).toEqual({
      status: 500,
      body: { message: "oops", code: "engine/failed" },
    });
  });

  it.each([
    [404, "No such image: x:latest", "image/not-found"],
    [404, "network x not found", "network/not-found"],
    [404, "get x: no such volume", "volume/not-found"],
    [409, 'Conflict. The container name "/x" is already in use by container "y".', "container/name-in-use"],
    [500, "Bind for 0.0.0.0:80 failed: port is already allocated", "port/in-use"],
    [404, "page not found", "request/not-found"],
    [400, "anything", "request/invalid"],
    [500, "anything", "engine/api"],
  ])("are recognised in the answers of a Docker Engine: %i %s", (status, message, code) => {
    expect(codeOf(status, { message })).toBe(code);
  });

  it("trust a code only when it is one", () => {
    expect(codeOf(500, { message: "x", code: "port/in-use" })).toBe("port/in-use");
    expect(codeOf(400, { message: "x", code: "made/up" })).toBe("request/invalid");
  });
});
