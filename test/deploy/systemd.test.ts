import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { commandsIn, problemOf, read } from "./deploy-support.js";

const units = (await readdir(join(import.meta.dirname, "../../deploy"))).filter((name) =>
  /\.(service|timer)$/.test(name),
);

/** The settings of a unit; of those that stand there twice the last. */
function settingsOf(unit: string): ReadonlyMap<string, string> {
  const lines = [...read(`deploy/${unit}`).matchAll(/^(\w+)=(.*)$/gm)];
  return new Map(lines.map(([, name = "", value = ""]) => [name, value]));
}

function hasAnalyzer(): boolean {
  try {
    execFileSync("systemd-analyze", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

it("there are units of the server and of its backup", () => {
  expect(units.sort()).toEqual(["flagwire-backup.service", "flagwire-backup.timer", "flagwire.service"]);
});

it.skipIf(!hasAnalyzer())("systemd finds nothing wrong with them", async () => {
  const directory = await mkdtemp(join(tmpdir(), "flagwire-units-"));
  try {
    for (const unit of units) {
      // It looks for the program, which is elsewhere here.
      const text = read(`deploy/${unit}`).replaceAll("/usr/bin/node", process.execPath);
      await writeFile(join(directory, unit), text);
    }
    const paths = units.map((unit) => join(directory, unit));
    const said = execFileSync("systemd-analyze", ["verify", "--man=no", ...paths], { stdio: "pipe", encoding: "utf8" });
    expect(said).toBe("");
  } finally {
    await rm(directory, { recursive: true });
  }
});

describe.each(["flagwire.service", "flagwire-backup.service"])("%s", (unit) => {
  const settings = settingsOf(unit);

  it("starts the program with a command that it knows", async () => {
    const commands = commandsIn(settings.get("ExecStart") ?? "", "/opt/flagwire/bin/flagwire.js");
    expect(commands.length).toBe(1);
    for (const command of commands) expect(await problemOf(command)).toBeUndefined();
  });

  it("has a user of its own that can write to its state only", () => {
    expect(Object.fromEntries(settings)).toMatchObject({
      DynamicUser: "yes",
      User: "flagwire",
      StateDirectory: expect.stringMatching(/^flagwire\b/),
      StateDirectoryMode: "0700",
      UMask: "0077",
      ProtectSystem: "strict",
      ProtectHome: "yes",
      PrivateTmp: "yes",
      NoNewPrivileges: "yes",
      CapabilityBoundingSet: "",
    });
    // Node compiles while it runs.
    expect(settings.has("MemoryDenyWriteExecute")).toBe(false);
  });
});

describe("the server's unit", () => {
  const settings = settingsOf("flagwire.service");

  it("gives it longer to stop than it takes at most, and lets the supervisor stop its workers", () => {
    // 5 s for calls and 2 for the workers' ends, then 5 to close the store.
    expect(Number(settings.get("TimeoutStopSec"))).toBeGreaterThan(12);
    expect(settings.get("KillMode")).toBe("mixed");
    expect(settings.get("KillSignal")).toBe("SIGTERM");
  });

  it("starts it again after any end but that of options that cannot be", () => {
    expect(settings.get("Restart")).toBe("always");
    expect(settings.get("RestartPreventExitStatus")).toBe("2");
  });

  it("keeps the data where the backup looks for it", () => {
    const data = /FLAGWIRE_DATA=(\S+)/.exec(settings.get("Environment") ?? "")?.[1];
    expect(data).toBe(`/var/lib/${settings.get("StateDirectory")}`);
    expect(settingsOf("flagwire-backup.service").get("ExecStart")).toContain(`--data ${data}`);
  });
});
