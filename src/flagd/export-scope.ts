import type { JsonValue } from "@bufbuild/protobuf";
import type { Findings } from "./findings.js";
import type { FlagSource } from "./flag-source.js";
import { quote } from "./json.js";
import { MAX_DEPTH, type Place } from "./place.js";

/** How many conditions, values and targeting keys may still be written. */
export interface ExportBudget {
  /** Of the flag's own. */
  own: number;
  /** Of other flags. */
  inlined: number;
}

export const EXPORT_BUDGET: Readonly<ExportBudget> = { own: Number.POSITIVE_INFINITY, inlined: 20_000 };

const INLINED_TOO_MUCH = "what it requires of other flags is too much to write into one flag of flagd";
const OWN_TOO_MUCH = "has more conditions, values and targeting keys than flagd's clients can be sent";

interface Surroundings {
  /** The salt of rollouts that set none: the key of the flag or segment that this is in. */
  readonly defaultSalt: string;
  /** Attributes that are known to be text here. */
  readonly textAttributes: ReadonlySet<string>;
  /** The segments that this is in. */
  readonly segmentKeys: ReadonlySet<string>;
  /** Whether this is inside the rules of another flag. */
  readonly isInlined: boolean;
  /** Shared by all scopes of the flag. */
  readonly budget: ExportBudget;
}

/** What the export of one flag knows at one place. */
export class ExportScope implements Surroundings {
  readonly defaultSalt: string;
  readonly textAttributes: ReadonlySet<string>;
  readonly segmentKeys: ReadonlySet<string>;
  readonly isInlined: boolean;
  readonly budget: ExportBudget;

  constructor(
    /** The flag whose targeting is written, also where the rules of another are written into it. */
    readonly flagKey: string,
    readonly source: FlagSource,
    readonly findings: Findings,
    surroundings: Partial<Surroundings> = {},
  ) {
    this.defaultSalt = surroundings.defaultSalt ?? flagKey;
    this.textAttributes = surroundings.textAttributes ?? new Set();
    this.segmentKeys = surroundings.segmentKeys ?? new Set();
    this.isInlined = surroundings.isInlined ?? false;
    this.budget = surroundings.budget ?? { ...EXPORT_BUDGET };
  }

  inSegment(key: string): ExportScope {
    return this.#with({ defaultSalt: key, segmentKeys: new Set([...this.segmentKeys, key]) });
  }

  /** Inside the rules of another flag. */
  inFlag(key: string): ExportScope {
    return this.#with({ defaultSalt: key, textAttributes: new Set(), segmentKeys: new Set(), isInlined: true });
  }

  withText(attributes: Iterable<string>): ExportScope {
    return this.#with({ textAttributes: new Set([...this.textAttributes, ...attributes]) });
  }

  withFindings(findings: Findings): ExportScope {
    return new ExportScope(this.flagKey, this.source, findings, this);
  }

  /** Leaves the flag out, and stands in for what cannot be exported. */
  leave(place: Place, description: string): JsonValue {
    this.findings.refuse(place, description);
    return false;
  }

  /** Whether so much more fits; the flag is left out where it does not. */
  fits(place: Place, count: number): boolean {
    const part = this.isInlined ? "inlined" : "own";
    this.budget[part] -= count;
    if (this.budget[part] >= 0 && (!this.isInlined || place.depth <= MAX_DEPTH)) return true;
    // Once, for the flag: neither work nor findings may grow with what does not fit.
    this.findings.refuse(place.top, this.isInlined ? INLINED_TOO_MUCH : OWN_TOO_MUCH);
    return false;
  }

  /** An attribute's value. flagd always reads a name as a path, and a number in it as a position in a list. */
  variable(attribute: string, place: Place): JsonValue {
    const isPlain = attribute.split(".").every((step) => step !== "" && step !== "__proto__" && !/^\d+$/.test(step));
    if (isPlain && !attribute.includes("\\") && !/^\$(?:flagd|now)(?:\.|$)/.test(attribute)) return { var: attribute };
    return this.leave(place, `flagd reads the attribute ${quote(attribute)} otherwise`);
  }

  #with(changes: Partial<Surroundings>): ExportScope {
    return new ExportScope(this.flagKey, this.source, this.findings, { ...this.#surroundings(), ...changes });
  }

  #surroundings(): Surroundings {
    const { defaultSalt, textAttributes, segmentKeys, isInlined, budget } = this;
    return { defaultSalt, textAttributes, segmentKeys, isInlined, budget };
  }
}
