import type { Flag } from "../../gen/flagwire/v1/flag_pb.js";
import { intern } from "./intern.js";
import type { CountedOutcome, ErrorCode, JsonValue, Outcome, Reason, Tally } from "./outcome.js";
import type { Problems } from "./problem.js";
import { copyJson, flagTypeName, fromValue, hasFlagType } from "./value.js";

/** What an outcome may say beside its variant and reason. */
export interface OutcomeExtras {
  readonly ruleId?: string | undefined;
  readonly prerequisiteKey?: string | undefined;
}

/** Makes the frozen outcomes of one flag. */
export class OutcomeMaker {
  readonly #values: ReadonlyMap<string, JsonValue>;
  readonly #metadata: JsonValue | undefined;
  readonly #tallies = new Map<string | undefined, Tally>();

  /** Adds a problem for each variant without a value of the flag's type. */
  constructor(
    readonly flagKey: string,
    flag: Flag | undefined,
    problems: Problems,
  ) {
    this.#values = flag ? parseVariants(flag, problems) : new Map();
    this.#metadata = flag?.metadata ? copyJson(flag.metadata) : undefined;
    if (flag?.metadata && this.#metadata === undefined) problems.add("flag.metadata", "is not a JSON object");
  }

  /** One for each variant of the outcomes that were made. */
  get tallies(): readonly Tally[] {
    return [...this.#tallies.values()];
  }

  /** Whether the flag has a variant; if not, adds a problem. */
  checkVariant(name: string, path: string, problems: Problems): boolean {
    if (this.#values.has(name)) return true;
    problems.add(path, name === "" ? "is required" : `the flag has no variant ${JSON.stringify(name)}`);
    return false;
  }

  /** The outcome of a variant; without a value where the name is empty. */
  variant(name: string, reason: Reason, extras: OutcomeExtras = {}): CountedOutcome {
    const value = this.#values.get(name);
    return this.#freeze({ value, variant: value === undefined ? undefined : intern(name), reason }, extras);
  }

  error(errorCode: ErrorCode, errorMessage: string, extras: OutcomeExtras = {}): CountedOutcome {
    return this.#freeze({ value: undefined, variant: undefined, reason: "ERROR", errorCode, errorMessage }, extras);
  }

  #freeze(part: OutcomePart, extras: OutcomeExtras): CountedOutcome {
    return Object.freeze(new CompiledOutcome(this.flagKey, part, extras, this.#metadata, this.#tally(part.variant)));
  }

  #tally(variant: string | undefined): Tally {
    const known = this.#tallies.get(variant);
    if (known !== undefined) return known;
    const tally: Tally = { variant, count: 0 };
    this.#tallies.set(variant, tally);
    return tally;
  }
}

type OutcomePart = Pick<Outcome, "value" | "variant" | "reason"> & Partial<Pick<Outcome, "errorCode" | "errorMessage">>;

/** The tally is no member of the answer, so it is behind a getter of the class. */
class CompiledOutcome implements CountedOutcome {
  readonly value: JsonValue | undefined;
  readonly variant: string | undefined;
  readonly reason: Reason;
  readonly ruleId: string | undefined;
  readonly prerequisiteKey: string | undefined;
  readonly errorCode: ErrorCode | undefined;
  readonly errorMessage: string | undefined;
  readonly #tally: Tally;

  constructor(
    readonly flagKey: string,
    part: OutcomePart,
    extras: OutcomeExtras,
    readonly metadata: JsonValue | undefined,
    tally: Tally,
  ) {
    this.value = part.value;
    this.variant = part.variant;
    this.reason = part.reason;
    this.ruleId = extras.ruleId;
    this.prerequisiteKey = extras.prerequisiteKey;
    this.errorCode = part.errorCode;
    this.errorMessage = part.errorMessage;
    this.#tally = tally;
  }

  get tally(): Tally {
    return this.#tally;
  }
}

const NOT_A: Readonly<Record<string, string>> = { number: "is not a finite number", object: "is not a JSON object" };

function parseVariants(flag: Flag, problems: Problems): ReadonlyMap<string, JsonValue> {
  const values = new Map<string, JsonValue>();
  const typeName = flagTypeName(flag.type);
  if (typeName === undefined)
    problems.add("flag.type", flag.type === 0 ? "is required" : `${flag.type} is not known to this version`);
  const entries = Object.entries(flag.variants);
  if (entries.length === 0) problems.add("flag.variants", "at least one variant is required");
  for (const [name, message] of entries) {
    const value = fromValue(message);
    // Kept even if it is wrong, so that the rules that name it are not reported as well.
    if (name !== "") values.set(intern(name), typeof value === "string" ? intern(value) : (value ?? null));
    else problems.add('flag.variants[""]', "is empty");
    if (typeName === undefined || (value !== undefined && hasFlagType(value, flag.type))) continue;
    problems.add(`flag.variants[${JSON.stringify(name)}]`, NOT_A[typeName] ?? `is not a ${typeName}`);
  }
  return values;
}
