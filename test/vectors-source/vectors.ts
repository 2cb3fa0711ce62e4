import { addresses } from "./addresses.js";
import { attributes } from "./attributes.js";
import { conditions } from "./conditions.js";
import { malformed } from "./malformed.js";
import { numbers } from "./numbers.js";
import { order } from "./order.js";
import { patterns } from "./patterns.js";
import { prerequisites } from "./prerequisites.js";
import { rollouts } from "./rollouts.js";
import { segments } from "./segments.js";
import { text } from "./text.js";
import { times } from "./times.js";
import { types } from "./types.js";
import type { VectorFile } from "./vector-file.js";
import { versions } from "./versions.js";

/** What makes each file of test/vectors. */
export const sources: Readonly<Record<string, () => VectorFile>> = {
  "addresses.json": addresses,
  "attributes.json": attributes,
  "conditions.json": conditions,
  "malformed.json": malformed,
  "numbers.json": numbers,
  "order.json": order,
  "patterns.json": patterns,
  "prerequisites.json": prerequisites,
  "rollouts.json": rollouts,
  "segments.json": segments,
  "text.json": text,
  "times.json": times,
  "types.json": types,
  "versions.json": versions,
};
