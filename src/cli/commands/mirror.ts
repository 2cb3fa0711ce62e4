import { createInterface } from "node:readline";
import type { Command } from "commander";
import { type EvaluationDetails, type Mirror, MirrorError, openMirror } from "../../client/index.js";
import { type Answer, describeAnswer } from "../answer.js";
import type { CommandRunner } from "../command-runner.js";
import { CliFailure, ExitCode } from "../failure.js";
import { parseContext } from "../parse-context.js";
import { callBudgetMs } from "../remote.js";
import type { Session } from "../session.js";

const maximumKeysNamed = 10;

export function addMirrorCommand(program: Command, run: CommandRunner): void {
  program
    .command("mirror [keys...]")
    .description("keep a mirror and evaluate keys read from standard input, with no network; ends with the input")
    .action(run(runMirror))
    .addHelpText(
      "after",
      `
Each line is a key, and a context in JSON if one is wanted. Answers go to
standard output; changes of the mirror to standard error. With --json a line
that cannot be read is answered {"error": "...", "line": N}.

Examples:
  flagwire mirror
  echo 'new-checkout {"targetingKey":"user-1"}' | flagwire mirror --json`,
    );
}

async function runMirror(session: Session, keys: readonly string[]): Promise<ExitCode> {
  const mirror = await open(session);
  try {
    follow(session, mirror);
    for (const key of keys) await answerLine(session, mirror, key, undefined);
    await answerInput(session, mirror);
    return ExitCode.done;
  } finally {
    await mirror.close();
  }
}

async function open(session: Session): Promise<Mirror> {
  const { address, environment, token } = session.options;
  const options = { address, environment, token, signal: session.signal, clock: session.io.clock };
  try {
    // What is tried out here is nobody's usage.
    const more = { clientName: "flagwire mirror", connectTimeoutMs: callBudgetMs, reportUsage: false } as const;
    return await openMirror({ ...options, ...more });
  } catch (error) {
    if (!(error instanceof MirrorError)) throw error;
    throw new CliFailure(ExitCode.refused, error.message);
  }
}

/** Says what happens to the mirror on standard error, so that standard output has one line for each line of input. */
function follow(session: Session, mirror: Mirror): void {
  const { output } = session;
  output.note(
    `the mirror of ${mirror.environment} is ready with ${mirror.keys().length} flags at revision ${mirror.revision}`,
  );
  mirror.on("change", ({ keys, revision }) => {
    const further = keys.length > maximumKeysNamed ? ` and ${keys.length - maximumKeysNamed} more` : "";
    output.note(`revision ${revision}: ${keys.slice(0, maximumKeysNamed).join(", ")}${further}`);
  });
  mirror.on("stale", ({ revision }) => output.note(`the server is silent; answers are of revision ${revision}`));
  mirror.on("ready", ({ revision }) => output.note(`in step with the server again at revision ${revision}`));
  const noteAway = createAwayNote(session, mirror);
  mirror.on("error", (error) => (error.kind === "connection" ? noteAway() : output.note(error.message)));
}

const returnCheckMs = 250;

/**
 * Says once that the connection was lost, and once that an update has come again: one that changes nothing is no event of
 * the mirror.
 */
function createAwayNote(session: Session, mirror: Mirror): () => void {
  const updates = () => mirror.counts.fulls + mirror.counts.deltas + mirror.counts.nones;
  let waiting = false;
  const check = (before: number) => {
    if (mirror.status === "closed") return;
    if (updates() === before) return void session.io.clock.after(returnCheckMs, () => check(before));
    waiting = false;
    session.output.note(`the server is reachable again; answers are of revision ${mirror.revision}`);
  };
  return () => {
    if (waiting) return;
    waiting = true;
    const { address } = session.options;
    session.output.note(
      `the connection to ${address} was lost; answers are of revision ${mirror.revision} until it is back`,
    );
    check(updates());
  };
}

async function answerInput(session: Session, mirror: Mirror): Promise<void> {
  const lines = createInterface({ input: session.io.stdin, crlfDelay: Number.POSITIVE_INFINITY });
  const close = () => lines.close();
  session.signal.addEventListener("abort", close);
  if (session.signal.aborted) close();
  try {
    let number = 0;
    for await (const line of lines) {
      number += 1;
      if (line.trim() !== "") await answerLine(session, mirror, line.trim(), number);
    }
  } finally {
    session.signal.removeEventListener("abort", close);
  }
}

/** A line that cannot be read is no reason to end: somebody is trying things. */
async function answerLine(session: Session, mirror: Mirror, line: string, number: number | undefined): Promise<void> {
  const [, key = "", contextText] = /^(\S+)(?:\s+(.*))?$/.exec(line) ?? [];
  let context = {};
  try {
    if (contextText !== undefined) context = parseContext(contextText, "the context");
  } catch (error) {
    if (!(error instanceof CliFailure)) throw error;
    const where = number === undefined ? {} : { line: number };
    // A record in the answer's place: answers pair with the lines of the input.
    if (session.output.json) return session.output.jsonLine({ error: error.message, ...where });
    return session.output.note(number === undefined ? error.message : `line ${number}: ${error.message}`);
  }
  const answer = fromDetails(mirror.details(key, undefined, context));
  await (session.output.json ? session.output.jsonLine(answer) : session.output.line(describeAnswer(answer)));
}

/** The same document that `eval --json` prints. */
function fromDetails(details: EvaluationDetails<unknown>): Answer {
  const { flagKey, value, variant, reason, ruleId, errorCode, errorMessage, revision, metadata } = details;
  const { prerequisiteKey } = details;
  return {
    flagKey,
    ...(variant === undefined ? {} : { value: value as NonNullable<Answer["value"]>, variant }),
    reason,
    ...(ruleId === undefined ? {} : { ruleId }),
    ...(errorCode === undefined ? {} : { error: { code: errorCode, message: errorMessage ?? "" } }),
    revision: String(revision),
    ...(metadata === undefined ? {} : { metadata: metadata as NonNullable<Answer["metadata"]> }),
    ...(prerequisiteKey === undefined ? {} : { prerequisiteKey }),
  };
}
