import type { Command } from "commander";
import { printable } from "../../base/index.js";
import type { CommandRunner } from "../command-runner.js";
import { CliFailure, ExitCode } from "../failure.js";
import { checkFolder } from "../scan/check-folder.js";
import { type FlagStanding, FlagStandings, type ScanProblem } from "../scan/flag-standing.js";
import { parseChoices } from "../scan/parse-choices.js";
import { type ScannedFile, scanTree } from "../scan/scan-tree.js";
import type { Session } from "../session.js";
import { counted } from "../text.js";
import { fetchFlags } from "./fetch-flags.js";
import { similarTo } from "./similar-keys.js";

interface ScanCommandOptions {
  readonly failOn?: readonly ScanProblem[];
  readonly exclude?: readonly string[];
}

const problems = ["unknown", "expired", "serves-one-variant"] as const;

/** Looking for similar keys takes a while where there are many flags. */
const maximumKeysCompared = 50;

export function addScanCommand(program: Command, run: CommandRunner): void {
  const command = program
    .command("scan <dir>")
    .description("where code uses flags, and how these flags stand in the environment")
    .option(
      "--fail-on <statuses>",
      `exit with 1 where code uses such flags: ${problems.join(", ")}; several separated by commas, or repeated`,
      parseChoices("--fail-on", problems),
    );
  addExcludeOption(command)
    .action(run(scan))
    .addHelpText(
      "after",
      `
A key is found in any text where it stands alone in quotes; in TypeScript and
JavaScript also where a call asks for a flag that does not exist. Left out are
what a .gitignore says, node_modules, dist, .git, binary files, those over 2 MiB,
and links.

known               the flag exists
unknown             it does not: callers get their own default
expired             it should be gone by now
serves-one-variant  a release or experiment that serves everyone the same: its
                    other branches are dead

Examples:
  flagwire scan src
  flagwire scan . --fail-on unknown,expired --exclude docs/`,
    );
}

export function addExcludeOption(command: Command): Command {
  return command.option(
    "--exclude <pattern>",
    "leave out what the pattern names, as in a .gitignore; repeatable",
    (pattern: string, before: readonly string[] = []) => [...before, pattern],
  );
}

async function scan(session: Session, root: string, { failOn = [], exclude = [] }: ScanCommandOptions): Promise<void> {
  await checkFolder("DIR", root);
  const standings = new FlagStandings(await fetchFlags(session), session.io.clock.now());
  const found = new Map<string, FlagStanding>();
  const list = createUseList(session, standings);
  const tally = { files: 0, uses: 0 };
  const files = scanTree(root, {
    isKnown: standings.isKnown,
    exclude,
    signal: session.signal,
    onSkipped: (path, why) => session.output.note(`${path} ${why}`),
  });
  for await (const file of files) {
    tally.files++;
    tally.uses += file.found.length;
    for (const { key } of file.found) found.set(key, standings.of(key));
    await list.add(file);
  }
  await list.end();
  const where = `${counted(tally.uses, "place")} of ${counted(tally.files, "file")}`;
  session.output.note(`${counted(found.size, "key")} in ${where}`);
  failOnProblems(found, failOn);
}

/** Prints each file's uses as they are found, so that none are kept. */
interface UseList {
  add(file: ScannedFile): Promise<void>;
  end(): Promise<void>;
}

function createUseList(session: Session, standings: FlagStandings): UseList {
  const { json, raw } = session.output;
  const describe = createDescriber(standings);
  let isFirst = true;
  const separator = () => {
    const text = isFirst ? "[\n  " : ",\n  ";
    isFirst = false;
    return text;
  };
  return {
    async add({ path, found }) {
      if (found.length === 0) return;
      const texts = found.map(({ key, line }) =>
        json
          ? separator() + JSON.stringify(toDocument(path, line, key, standings.of(key)))
          : `${describe(path, line, key)}\n`,
      );
      await raw(texts.join(""));
    },
    async end() {
      if (json) await raw(isFirst ? "[]\n" : "\n]\n");
    },
  };
}

function toDocument(file: string, line: number, key: string, { problems: [status], servedVariant }: FlagStanding) {
  return { key, file, line, status: status ?? "known", ...(servedVariant !== undefined && { servedVariant }) };
}

function createDescriber(standings: FlagStandings): (path: string, line: number, key: string) => string {
  const known = standings.keys();
  const similar = new Map<string, readonly string[]>();
  return (path, line, key) => {
    const { problems: of, servedVariant } = standings.of(key);
    const details = of.map((problem) => (problem === "serves-one-variant" ? `${problem} (${servedVariant})` : problem));
    if (of[0] === "unknown" && !similar.has(key) && similar.size < maximumKeysCompared) {
      similar.set(key, similarTo(key, known));
    }
    const near = similar.get(key) ?? [];
    const hint = near.length === 0 ? "" : `; did you mean ${near.join(" or ")}?`;
    return printable(`${path}:${line}: ${key} ${details.join(", ") || "known"}${hint}`);
  };
}

function failOnProblems(found: ReadonlyMap<string, FlagStanding>, failOn: readonly ScanProblem[]): void {
  const lines = [...found].flatMap(([key, { problems: of }]) => {
    const wrong = of.filter((problem) => failOn.includes(problem));
    return wrong.length === 0 ? [] : [`${key}: ${wrong.join(", ")}`];
  });
  if (lines.length === 0) return;
  throw new CliFailure(ExitCode.no, `code uses ${counted(lines.length, "flag")} that it should not:`, lines.sort());
}
