import type { Command } from "commander";
import { describeTrace } from "../../client/index.js";
import { describeAnswer, fromResponse } from "../answer.js";
import type { CommandRunner } from "../command-runner.js";
import { ExitCode, usageFailure } from "../failure.js";
import { readContext, toContextMessage } from "../parse-context.js";
import type { Session } from "../session.js";
import { type PastMoment, parseMoment } from "./past-moment.js";
import { withSimilarKeys } from "./similar-keys.js";

interface EvalOptions {
  readonly context?: string;
  readonly targetingKey?: string;
  readonly explain?: boolean;
  readonly private?: string;
  readonly at?: PastMoment;
}

export function addEvalCommand(program: Command, run: CommandRunner): void {
  program
    .command("eval <key>")
    .description("ask the server for one answer; exit code 1 where the flag answers with an error")
    .option("--context <json>", 'the context as a JSON object, or @FILE that holds it; "@-" is standard input')
    .option("--targeting-key <key>", "the targeting key; beats the context's")
    .option("--explain", "tell how the answer came about, as a tree")
    .option("--private <names>", "attributes whose values an explanation leaves out, such as targetingKey,email")
    .option("--at <revision|time>", "answer as it was at a revision, or at an RFC 3339 time", parseMoment)
    .action(run(evaluate, { at_revision: "--at", at_time: "--at" }))
    .addHelpText(
      "after",
      `
Examples:
  flagwire eval new-checkout --context '{"targetingKey":"user-1","country":"NO"}'
  flagwire eval new-checkout --targeting-key user-1 --explain
  flagwire eval new-checkout --targeting-key user-1 --at 2026-11-20T14:05:00Z --explain
  flagwire eval new-checkout --targeting-key user-1 --json`,
    );
}

async function evaluate(session: Session, key: string, options: EvalOptions): Promise<ExitCode> {
  const context = toContextMessage(await readContext(options.context, session.io.stdin), options.targetingKey);
  const privateAttributes = parseNames(options);
  const remote = session.remote();
  const request = {
    environment: session.options.environment,
    flagKey: key,
    context: { ...context, privateAttributes },
    explain: options.explain === true,
    ...options.at,
  };
  const ask = () => remote.call((call) => remote.evaluation.evaluate(request, call));
  // Keys of flags that there are now say nothing of those that there were.
  const response = await (options.at === undefined ? withSimilarKeys(session, key, ask) : ask());
  const answer = fromResponse(response);
  const { output } = session;
  if (output.json) await output.document(answer);
  else if (answer.error === undefined) await output.line(describeAnswer(answer));
  if (!output.json && response.trace !== undefined) await output.line(describeTrace(response.trace));
  if (answer.error === undefined) return ExitCode.done;
  output.note(describeAnswer(answer));
  return ExitCode.no;
}

function parseNames({ explain, private: names }: EvalOptions): string[] {
  if (names === undefined) return [];
  if (explain !== true) throw usageFailure("--private goes with --explain: answers never hold attributes");
  const parsed = names.split(",").map((name) => name.trim());
  if (parsed.includes("")) throw usageFailure("--private holds an empty name; give names such as targetingKey,email");
  return parsed;
}
