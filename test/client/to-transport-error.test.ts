import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { toPollError, toTransportError } from "../../src/client/to-transport-error.js";

const answered = (status: number, code: Code) => new ConnectError(`HTTP ${status}`, code);
const refused = answered(403, Code.PermissionDenied);

describe("an error of the transport", () => {
  it.each([
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "CERT_HAS_EXPIRED",
    "ERR_TLS_CERT_ALTNAME_INVALID",
  ])("says nothing against what came before where a certificate is bad: %s", (code) => {
    const cause = Object.assign(new Error("a bad certificate"), { code });
    expect(toTransportError(new ConnectError("no", Code.Internal, undefined, undefined, cause)).code).toBe(
      "UNAVAILABLE",
    );
  });

  it("says in words where what listens does not speak TLS", () => {
    const cause = Object.assign(new Error("0A00010B"), { code: "ERR_SSL_WRONG_VERSION_NUMBER" });
    const error = new ConnectError("803C:error:0A00010B:SSL routines:\n", Code.Internal, undefined, undefined, cause);
    expect(toTransportError(error)).toMatchObject({
      code: "UNAVAILABLE",
      message: "what listens there does not speak TLS: name it without https://",
    });
  });

  it.each([
    [400, Code.Internal, "UNAVAILABLE"],
    [401, Code.Unauthenticated, "UNAVAILABLE"],
    [403, Code.PermissionDenied, "UNAVAILABLE"],
    [413, Code.Unknown, "RESOURCE_EXHAUSTED"],
  ])("is that of somebody in front of the server where all it says is HTTP %i", (status, code, expected) => {
    expect(toTransportError(answered(status, code)).code).toBe(expected);
  });

  it("is the server's refusal where the server says more", () => {
    expect(toTransportError(new ConnectError("the token is unknown", Code.Unauthenticated)).code).toBe(
      "UNAUTHENTICATED",
    );
  });
});

describe("two ways of polling", () => {
  it("are refused where HTTP/1.1 is; else the first one's error counts", () => {
    const isRefusal = { code: "PERMISSION_DENIED", message: "HTTP 403" };
    expect(toPollError(answered(401, Code.Unauthenticated), refused)).toMatchObject(isRefusal);
    expect(toPollError(new Error("reset"), refused)).toMatchObject(isRefusal);
    expect(toPollError(refused, refused)).toMatchObject(isRefusal);
    expect(toPollError(refused, new Error("reset"))).toMatchObject({ code: "UNAVAILABLE", message: "HTTP 403" });
  });
});
