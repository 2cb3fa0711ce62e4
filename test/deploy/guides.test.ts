import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { commandsIn, problemOf, read, root } from "./deploy-support.js";
import { settingsFileProblem } from "./settings-file.js";

const guides = ["docs/runbook.md", "docs/deploy.md"];

/** Code of these languages in a guide, without its remarks. */
function codeIn(guide: string, language: string): string[] {
  const blocks = [...read(guide).matchAll(new RegExp(`\`\`\`${language}\\n([\\s\\S]*?)\`\`\``, "g"))];
  return blocks.map(([, text = ""]) => text.replace(/ +# .*$/gm, ""));
}

describe.each(guides)("%s", (guide) => {
  const scripts = [...codeIn(guide, "sh"), ...codeIn(guide, "")].join("\n");
  const commands = ["flagwire", "/opt/flagwire/bin/flagwire.js"].flatMap((program) => commandsIn(scripts, program));

  it("has commands", () => {
    expect(commands.length).toBeGreaterThan(5);
  });

  it.each(commands.map((argv) => [argv.join(" "), argv] as const))("flagwire %s is a command", async (_line, argv) => {
    expect(await problemOf(argv)).toBeUndefined();
  });

  it("names files that there are", () => {
    const links = [...read(guide).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(([, path = ""]) => path);
    const files = scripts.match(/\bdeploy\/[\w.*-]+/g) ?? [];
    for (const link of links) expect(existsSync(join(root, dirname(guide), link)), link).toBe(true);
    for (const file of files.filter((path) => !path.includes("*")))
      expect(existsSync(join(root, file)), file).toBe(true);
  });
});

it("the file of settings that docs/operating.md shows is one", async () => {
  const [shown = ""] = codeIn("docs/operating.md", "yaml");
  expect(shown).toContain("listen:");
  expect(await settingsFileProblem(shown)).toBe("");
});
