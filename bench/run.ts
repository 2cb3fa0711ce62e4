import { parseArgs } from "node:util";
import { measureEvaluations } from "./evaluations/measure-evaluations.js";
import { measurePropagation } from "./propagation/measure-propagation.js";
import { describeMachine } from "./report/machine.js";
import type { Section } from "./report/section.js";
import { type Report, toMarkdown } from "./report/to-markdown.js";
import { measureStart } from "./start/measure-start.js";
import { dataRoot } from "./support/temp-directory.js";
import { measureUnary } from "./unary/measure-unary.js";

const benches: Readonly<Record<string, () => Promise<Section>>> = {
  evaluations: measureEvaluations,
  unary: measureUnary,
  propagation: measurePropagation,
  start: measureStart,
};

const usage = `usage: npm run bench -- [--json] [--only NAME ...]

  --json       one JSON document instead of Markdown
  --only NAME  only this bench: ${Object.keys(benches).join(", ")}
`;

/** Runs the benches one after the other; progress goes to standard error. Returns the exit code. */
async function run(args: readonly string[]): Promise<number> {
  const options = parseOptions(args);
  if (options === undefined) return 2;
  const machine = describeMachine(dataRoot);
  const startedAt = performance.now();
  const sections: Section[] = [];
  for (const name of options.names) {
    const sectionStartedAt = performance.now();
    process.stderr.write(`${name} …`);
    const section = await benches[name]?.();
    if (section !== undefined) sections.push(section);
    process.stderr.write(` ${((performance.now() - sectionStartedAt) / 1000).toFixed(1)} s\n`);
  }
  const command = `npm run bench${args.length > 0 ? ` -- ${args.join(" ")}` : ""}`;
  const report: Report = { command, machine, durationMs: Math.round(performance.now() - startedAt), sections };
  process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : `\n${toMarkdown(report)}`);
  return 0;
}

function parseOptions(
  args: readonly string[],
): { readonly names: readonly string[]; readonly json: boolean } | undefined {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        json: { type: "boolean", default: false },
        only: { type: "string", multiple: true, default: Object.keys(benches) },
      },
    });
    const unknown = values.only.filter((name) => !Object.hasOwn(benches, name));
    if (unknown.length === 0) return { names: values.only, json: values.json };
    process.stderr.write(`there is no bench ${unknown.join(", ")}\n${usage}`);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${usage}`);
  }
  return undefined;
}

process.exitCode = await run(process.argv.slice(2));
