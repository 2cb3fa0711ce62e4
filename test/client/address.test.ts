import { describe, expect, it } from "vitest";
import { parseAddress } from "../../src/client/address.js";

describe("an address", () => {
  it.each([
    ["127.0.0.1:8013", "http://127.0.0.1:8013/"],
    ["flags.example.com", "http://flags.example.com:8013/"],
    ["localhost:80", "http://localhost/"],
    ["[::1]:9000", "http://[::1]:9000/"],
    ["[::1]", "http://[::1]:8013/"],
    ["http://flags.example.com:8013", "http://flags.example.com:8013/"],
    ["https://flags.example.com", "https://flags.example.com/"],
    ["https://proxy.example.com/flagwire", "https://proxy.example.com/flagwire"],
  ])("%s means %s", (address, url) => {
    expect(parseAddress(address).href).toBe(url);
  });

  it.each(["", "::::", "ftp://x", "host:port", "host:99999", "http://user:secret@host", "host/path", "http://h?x"])(
    "%j is none",
    (address) => {
      expect(() => parseAddress(address)).toThrow(TypeError);
    },
  );

  it("is not repeated with its password", () => {
    expect(() => parseAddress("http://user:secret@host")).toThrow(/^(?!.*secret).*host/);
  });
});
