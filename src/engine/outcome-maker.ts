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

  #freeze(
    part: Pick<Outcome, "value" | "variant" | "reason"> & Partial<Pick<Outcome, "errorCode" | "errorMessage">>,
    extras: OutcomeExtras,
  ): CountedOutcome {
    const outcome: Outcome = {
      flagKey: this.flagKey,
      value: part.value,
      variant: part.variant,
      reason: part.reason,
      ruleId: extras.ruleId,
      prerequisiteKey: extras.prerequisiteKey,
      errorCode: part.errorCode,
      errorMessage: part.errorMessage,
      metadata: this.#metadata,
    };
    const tally = this.#tally(part.variant);
    return Object.freeze(Object.defineProperty(outcome, "tally", { value: tally }) as CountedOutcome);
  }

  #tally(variant: string | undefined): Tally {
    const known = this.#tallies.get(variant);
    if (known !== undefined) return known;
    const tally: Tally = { variant, count: 0 };
    this.#tallies.set(variant, tally);
    return tally;
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
