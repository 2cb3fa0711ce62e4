import { type Flag, FlagKind } from "../../../gen/flagwire/v1/flag_pb.js";
import { contractLimits } from "../limits.js";
import type { Violations } from "./violations.js";

const KIND_NAMES: Readonly<Record<number, string>> = {
  [FlagKind.RELEASE]: "release",
  [FlagKind.EXPERIMENT]: "experiment",
  [FlagKind.OPERATIONAL]: "operational",
  [FlagKind.PERMISSION]: "permission",
};

/** Checks what the engine does not: keys, lengths, counts, and what a kind requires. */
export function checkFlag(flag: Flag, violations: Violations): void {
  violations.key("flag.key", flag.key);
  checkVariantNames(flag, violations);
  checkKind(flag, violations);
  violations.text("flag.description", flag.description, 4_096);
  violations.text("flag.owner", flag.owner, 256);
  violations.timestamp("flag.expires_at", flag.expiresAt);
  violations.text("flag.ticket", flag.ticket, 1_024);
  violations.count("flag.tags", flag.tags.length, contractLimits.tags);
  violations.unique("flag.tags", flag.tags);
  for (const [index, tag] of flag.tags.entries()) violations.label(`flag.tags[${index}]`, tag);
  checkMetadata(flag, violations);
}

function checkVariantNames(flag: Flag, violations: Violations): void {
  const names = Object.keys(flag.variants);
  violations.count("flag.variants", names.length, contractLimits.variants);
  for (const name of names) violations.label(`flag.variants[${JSON.stringify(name)}]`, name);
}

function checkKind(flag: Flag, violations: Violations): void {
  const kind = KIND_NAMES[flag.kind];
  if (kind === undefined) {
    const wrong = flag.kind === FlagKind.UNSPECIFIED ? "is required" : `${flag.kind} is not known to this version`;
    violations.add("flag.kind", `${wrong}: release, experiment, operational or permission`);
  }
  if (flag.kind !== FlagKind.RELEASE && flag.kind !== FlagKind.EXPERIMENT) return;
  if (flag.owner.trim() === "")
    violations.add("flag.owner", `is required of a flag of kind ${kind}: who cleans it up?`);
  if (!flag.expiresAt)
    violations.add("flag.expires_at", `is required of a flag of kind ${kind}: when should it be gone?`);
}

function checkMetadata(flag: Flag, violations: Violations): void {
  const entries = Object.entries(flag.metadata ?? {});
  violations.count("flag.metadata", entries.length, contractLimits.metadataEntries);
  for (const [key, value] of entries) {
    const field = `flag.metadata[${JSON.stringify(key)}]`;
    if (key.length > 128) violations.add(field, "has a key of more than 128 characters");
    if (typeof value === "object") violations.add(field, "is neither a string nor a number nor a boolean");
    if (typeof value === "string") violations.text(field, value, 1_024);
  }
}
