import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import { readVectors, type Vectors } from "../vectors-runner/read-vectors.js";

const folder = resolve(import.meta.dirname, "../vectors");

/** All files of test/vectors. */
export const vectorFiles: readonly Vectors[] = readdirSync(folder)
  .filter((name) => name.endsWith(".json"))
  .map((name) => readVectors(resolve(folder, name)));
