import { quantile, toMeasure, toRatio } from "../report/measure.js";
import type { Section } from "../report/section.js";
import { flags } from "./flags.js";
import type { PeerRounds } from "./peer-rounds.js";
import type { FlagKey } from "./sdk.js";

type MeasuredSdk = PeerRounds["sdks"][number];

const median = (rounds: readonly number[]): number => quantile(rounds, 0.5);

/** One table a flag, then who is the fastest beside Flagwire. `versions` are the peers' by their names. */
export function toSections(
  { contexts, sdks, hashes }: PeerRounds,
  versions: Readonly<Record<string, string>>,
): readonly Section[] {
  const [ours, ...peers] = sdks;
  if (ours === undefined || peers.length === 0) throw new Error("there is nothing to compare");
  const titleOf = ({ name }: MeasuredSdk) => (versions[name] === undefined ? name : `${name} ${versions[name]}`);
  const tables = flags.map(({ key, title }): Section => {
    const references = ours.timesNs[key];
    const rows = [
      ...(key === "rollout" ? hashes : []).map(({ name, timesNs }) => ({ name, times: timesNs })),
      ...sdks.map((sdk) => ({ name: titleOf(sdk), times: sdk.timesNs[key] })),
    ];
    return {
      name: `peers-${key}`,
      title,
      columns: ["SDK", "time of one", "time, as Flagwire's"],
      rows: rows.map(({ name, times }) => [name, toMeasure("nanoseconds", times), toRatio(times, references)]),
      notes: [],
    };
  });
  return [
    ...tables,
    {
      name: "peers-fastest",
      title: "Flagwire and the fastest of the others",
      columns: ["flag", "Flagwire", "fastest other", "its time", "its time, as Flagwire's", "Flagwire's, as murmur3s"],
      rows: flags.map(({ key, title }) => {
        const fastest = fastestOf(peers, key);
        return [
          title,
          toMeasure("nanoseconds", ours.timesNs[key]),
          titleOf(fastest),
          toMeasure("nanoseconds", fastest.timesNs[key]),
          toRatio(fastest.timesNs[key], ours.timesNs[key]),
          toRatio(ours.timesNs[key], hashes[0]?.timesNs ?? []),
        ];
      }),
      notes: [
        `Each SDK answers for the same ${contexts.toLocaleString("en-US")} distinct contexts of 7 attributes, in turn, on one thread; all share one process, in interleaved rounds, with \`NODE_ENV=production\`, without which GrowthBook does more. Contexts are made ahead, in the form that each SDK takes.`,
        "Every answer is counted. The rules' counts equal those of plain code, and each share of a rollout is within four standard deviations of its weight (33, 33 and 34 %); hashes differ, so who gets what does too.",
        ...sdks.map(({ name, call, note }) => `${name}: ${call}; ${note}.`),
      ],
    },
  ];
}

function fastestOf([first, ...others]: readonly MeasuredSdk[], key: FlagKey): MeasuredSdk {
  if (first === undefined) throw new Error("there is nobody to compare with");
  return others.reduce((best, sdk) => (median(sdk.timesNs[key]) < median(best.timesNs[key]) ? sdk : best), first);
}
