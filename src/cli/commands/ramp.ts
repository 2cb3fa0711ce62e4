import type { JsonObject, MessageInitShape } from "@bufbuild/protobuf";
import type { Command } from "commander";
import {
  AbortRampResponseSchema,
  GetTargetingResponseSchema,
  PauseRampResponseSchema,
  ResumeRampResponseSchema,
  StartRampResponseSchema,
} from "../../../gen/flagwire/v1/admin_service_pb.js";
import type { Ramp, RampStepSchema, Targeting } from "../../../gen/flagwire/v1/targeting_pb.js";
import { printable } from "../../base/index.js";
import type { CommandRunner } from "../command-runner.js";
import { parseRampSteps } from "../parse-ramp-steps.js";
import { toPercent } from "../parse-rollout.js";
import type { FieldOptions } from "../remote-failure.js";
import { toDocument } from "../response-document.js";
import type { Session } from "../session.js";
import { addWriteOptions, parseNonEmpty, revisionNote, toWriteFields, type WriteOptions } from "../write-options.js";
import { describeRamp } from "./describe-ramp.js";
import { describeServe, stateOf } from "./flag-summary.js";
import { withSimilarKeys } from "./similar-keys.js";

interface PlaceOptions extends WriteOptions {
  readonly rule?: string;
}

interface StartOptions extends PlaceOptions {
  readonly steps: MessageInitShape<typeof RampStepSchema>[];
  readonly variant?: string;
  readonly from?: string;
}

const fields: FieldOptions = {
  rule_id: "--rule",
  variant: "--variant",
  from_variant: "--from",
  steps: "--steps",
};

export function addRampCommands(program: Command, run: CommandRunner): void {
  const ramp = program
    .command("ramp")
    .description("let a share grow by itself, step by step, carried out by the server");
  const starting = ramp
    .command("start <key>", { isDefault: true })
    .description("begin one; the word start may be left out")
    .requiredOption("--steps <steps>", "shares, and how long each is served", parseRampSteps)
    .option("--variant <name>", "what grows (boolean: the variant that is true)", parseNonEmpty("--variant"))
    .option("--from <name>", "what gets the rest (default: the only other one)", parseNonEmpty("--from"));
  addPlaceOptions(starting).action(run(startRamp, fields));
  const add = (name: string, description: string, change: Change) =>
    addPlaceOptions(ramp.command(`${name} <key>`).description(description)).action(
      run((session, key: string, options: PlaceOptions) => changeRamp(session, key, options, change), fields),
    );
  add("pause", "stay at the current step until it is resumed", pauseRamp);
  add("resume", "go on with what was left of the current step", resumeRamp);
  add("abort", "end it, and serve what was served before it", abortRamp);
  ramp
    .command("status <key>")
    .description("the ramps of a flag: where they are, and what is next")
    .action(run(showRamps));
  ramp.addHelpText(
    "after",
    `
Times are whole minutes, hours or days: 30m, 12h, 2d. Nobody who has the variant
loses it while it grows. A killed flag, or one that is off, holds its ramp; an
edit of what the ramp serves ends it.

Examples:
  flagwire ramp new-checkout --steps 1%:1d,5%:2d,25%:4d,100%
  flagwire ramp colour --rule beta --variant blue --from red --steps 10%:12h,100%
  flagwire ramp pause new-checkout`,
  );
}

function addPlaceOptions(command: Command): Command {
  return addWriteOptions(
    command.option("--rule <id>", "the rule that it is of (default: what everyone else gets)", parseNonEmpty("--rule")),
  );
}

async function startRamp(session: Session, key: string, options: StartOptions): Promise<void> {
  const remote = session.remote();
  const { steps, variant = "", from = "" } = options;
  const request = { ...toRequest(session, key, options), variant, fromVariant: from, steps };
  const response = await withSimilarKeys(session, key, () =>
    remote.call((call) => remote.admin.startRamp(request, call)),
  );
  const { targeting, revision } = response;
  const started = findRamp(targeting, options);
  if (started !== undefined) warnOfLoss(session, started);
  warnOfState(session, targeting);
  if (session.output.json) return session.output.document(toDocument(StartRampResponseSchema, response));
  const what = started === undefined ? describePlace(targeting, options) : describeRamp(started);
  await session.output.line(
    printable(`${key} in ${session.options.environment}: ${what} ${revisionNote(revision, options)}`),
  );
}

/** Growing moves nobody out; to begin below what is served now does. */
function warnOfLoss(session: Session, { variant, serveBefore, steps }: Ramp): void {
  const kind = serveBefore?.kind;
  const shares = kind?.case === "rollout" ? kind.value.shares : [];
  const sum = (some: readonly { readonly weight: number }[]) => some.reduce((total, { weight }) => total + weight, 0);
  const before = shares.length > 0 ? sum(shares.filter((share) => share.variant === variant)) / sum(shares) : 0;
  const had = kind?.case === "variant" && kind.value === variant ? 1 : before;
  const [first] = steps;
  if (first === undefined || had * 100_000 <= first.weight) return;
  session.output.note(
    `${variant} was served to ${toPercent(had, 1)} and begins at ${toPercent(first.weight)}: the others lose it for now`,
  );
}

function warnOfState(session: Session, targeting: Targeting | undefined): void {
  const state = stateOf(targeting);
  if (targeting === undefined || state === "on") return;
  const undo = state === "off" ? "on" : "revive";
  const { flagKey, environment } = targeting;
  session.output.note(
    `${flagKey} is ${state} in ${environment}, so its ramp waits until "flagwire ${undo} ${flagKey}"`,
  );
}

/** What came of a change to a ramp. */
interface Changed {
  readonly targeting?: Targeting | undefined;
  readonly revision: bigint;
  readonly document: JsonObject;
}

type Change = (session: Session, request: RampRequest) => Promise<Changed>;

const pauseRamp: Change = async (session, request) => {
  const remote = session.remote();
  const response = await remote.call((call) => remote.admin.pauseRamp(request, call));
  return { ...response, document: toDocument(PauseRampResponseSchema, response) };
};

const resumeRamp: Change = async (session, request) => {
  const remote = session.remote();
  const response = await remote.call((call) => remote.admin.resumeRamp(request, call));
  return { ...response, document: toDocument(ResumeRampResponseSchema, response) };
};

const abortRamp: Change = async (session, request) => {
  const remote = session.remote();
  const response = await remote.call((call) => remote.admin.abortRamp(request, call));
  return { ...response, document: toDocument(AbortRampResponseSchema, response) };
};

async function changeRamp(session: Session, key: string, options: PlaceOptions, change: Change): Promise<void> {
  const request = toRequest(session, key, options);
  const { targeting, revision, document } = await withSimilarKeys(session, key, () => change(session, request));
  if (session.output.json) return session.output.document(document);
  const ramp = findRamp(targeting, options);
  const what = ramp === undefined ? `the ramp is over; ${describePlace(targeting, options)}` : describeRamp(ramp);
  await session.output.line(
    printable(`${key} in ${session.options.environment}: ${what} ${revisionNote(revision, options)}`),
  );
}

async function showRamps(session: Session, key: string): Promise<void> {
  const remote = session.remote();
  const { environment } = session.options;
  const response = await withSimilarKeys(session, key, () =>
    remote.call((call) => remote.admin.getTargeting({ environment, flagKey: key }, call)),
  );
  if (session.output.json) return session.output.document(toDocument(GetTargetingResponseSchema, response));
  const ramps = response.targeting?.ramps ?? [];
  if (ramps.length === 0) session.output.note(`${key} has no ramp in ${environment}`);
  for (const ramp of ramps) await session.output.line(printable(describeRamp(ramp)));
}

type RampRequest = ReturnType<typeof toRequest>;

function toRequest(session: Session, key: string, options: PlaceOptions) {
  const { environment } = session.options;
  return { environment, flagKey: key, ruleId: options.rule ?? "", ...toWriteFields(session, options) };
}

function findRamp(targeting: Targeting | undefined, { rule = "" }: PlaceOptions): Ramp | undefined {
  return targeting?.ramps.find(({ ruleId }) => ruleId === rule);
}

/** Such as `rule beta serves off`. */
function describePlace(targeting: Targeting | undefined, { rule }: PlaceOptions): string {
  const place = rule === undefined ? "the default" : `rule ${rule}`;
  const serve = rule === undefined ? targeting?.default : targeting?.rules.find(({ id }) => id === rule)?.serve;
  return `${place} serves ${describeServe(serve)}`;
}
