import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import type { Refusal } from "../refusal.js";
import { undecodable } from "../status.js";

/**
 * Why the binary message in the address of a GET request is none; undefined if it is one. As with bodies (see `checkBody`), Connect
 * answers INTERNAL. JSON, which it blames right, and what is compressed are left to it.
 */
export function refuseQuery(query: URLSearchParams, input: DescMessage): Refusal | undefined {
  if (query.get("encoding") !== "proto" || (query.get("compression") ?? "identity") !== "identity") return undefined;
  const encoded = query.get("message") ?? "";
  try {
    fromBinary(input, Buffer.from(encoded, query.get("base64") === "1" ? "base64" : "utf8"));
    return undefined;
  } catch (cause) {
    return undecodable(input, cause);
  }
}
