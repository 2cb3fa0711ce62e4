import type { Change } from "../../../gen/flagwire/v1/history_pb.js";
import { printable } from "../../base/index.js";
import { counted } from "../text.js";
import { describeDifferences } from "./change-details.js";
import { describeChange } from "./change-summary.js";

/** Changes with all that is different in each, below it; and how many more there are. */
export function describeWhole(changes: readonly Change[], omitted: number): readonly string[] {
  return [
    ...changes.flatMap((change) => [
      printable(describeChange(change)),
      ...describeDifferences([change], { maxLines: Number.POSITIVE_INFINITY, isShort: false }).map(
        (line) => `  ${line}`,
      ),
    ]),
    ...(omitted === 0 ? [] : [`and ${counted(omitted, "further change")}, for which there is no room`]),
  ];
}
