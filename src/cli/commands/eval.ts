import type { Command } from "commander";
import { describeAnswer, fromResponse } from "../answer.js";
import type { CommandRunner } from "../command-runner.js";
import { ExitCode } from "../failure.js";
import { readContext, toContextMessage } from "../parse-context.js";
import type { Session } from "../session.js";
import { withSimilarKeys } from "./similar-keys.js";

interface EvalOptions {
  readonly context?: string;
  readonly targetingKey?: string;
}

export function addEvalCommand(program: Command, run: CommandRunner): void {
  program
    .command("eval <key>")
    .description("ask the server for one answer; exit code 1 where the flag answers with an error")
    .option("--context <json>", "the context as a JSON object, or @FILE that holds it")
    .option("--targeting-key <key>", "the targeting key; beats the context's")
    .action(run(evaluate))
    .addHelpText(
      "after",
      `
Examples:
  flagwire eval new-checkout --context '{"targetingKey":"user-1","country":"NO"}'
  flagwire eval new-checkout --targeting-key user-1 --json`,
    );
}

async function evaluate(session: Session, key: string, options: EvalOptions): Promise<ExitCode> {
  const context = toContextMessage(await readContext(options.context), options.targetingKey);
  const remote = session.remote();
  const request = { environment: session.options.environment, flagKey: key, context };
  const response = await withSimilarKeys(session, key, () =>
    remote.call((call) => remote.evaluation.evaluate(request, call)),
  );
  const answer = fromResponse(response);
  if (session.output.json) await session.output.document(answer);
  else if (answer.error === undefined) await session.output.line(describeAnswer(answer));
  if (answer.error === undefined) return ExitCode.done;
  session.output.note(describeAnswer(answer));
  return ExitCode.no;
}
