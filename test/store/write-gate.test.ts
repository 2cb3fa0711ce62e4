import { describe, expect, it } from "vitest";
import { WriteGate } from "../../src/store/write-gate.js";

/** A gate, and what has begun and ended at it, in order. */
function observed() {
  const gate = new WriteGate();
  const seen: string[] = [];
  const ends = new Map<string, () => void>();
  const write = (name: string) =>
    gate.write(async () => {
      seen.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
    });
  const hold = async (name: string) => {
    const letGo = await gate.hold();
    seen.push(name);
    return letGo;
  };
  return { seen, write, hold, end: (name: string) => ends.get(name)?.() };
}

describe("a write gate", () => {
  it("lets writes in at once and together while nobody holds it", () => {
    const { seen, write } = observed();
    void write("a");
    void write("b");
    expect(seen).toEqual(["a", "b"]);
  });

  it("is held only once what is being written is done", async () => {
    const { seen, write, hold, end } = observed();
    const written = write("a");
    const held = hold("held");
    expect(seen).toEqual(["a"]);
    end("a");
    await written;
    await held;
    expect(seen).toEqual(["a", "held"]);
  });

  it("lets writes in again in their order when the last holder has let go", async () => {
    const { seen, write, hold } = observed();
    const [first, second] = [await hold("1"), await hold("2")];
    void write("a");
    void write("b");
    first();
    first();
    expect(seen).toEqual(["1", "2"]);
    second();
    void write("c");
    expect(seen).toEqual(["1", "2", "a", "b", "c"]);
  });

  it("gives writers and holders their turns, so that neither waits for ever", async () => {
    const { seen, write, hold, end } = observed();
    const letGo = await hold("1");
    const written = write("a");
    const later = hold("2");
    letGo();
    void write("b");
    expect(seen).toEqual(["1", "a"]);
    end("a");
    await written;
    (await later)();
    expect(seen).toEqual(["1", "a", "2", "b"]);
  });

  it("goes on after a write that failed", async () => {
    const gate = new WriteGate();
    const failed = gate.write(() => Promise.reject(new Error("full")));
    const held = gate.hold();
    await expect(failed).rejects.toThrow("full");
    (await held)();
    expect(await gate.write(async () => "written")).toBe("written");
  });
});
