import { beforeAll, describe, expect, it } from "vitest";
import { CommitLog, checkHistory, type History, type Property, tellViolation } from "./index.js";
import { at, EPOCH, RESTORED, type SoundRun, soundRun, type Writable } from "./sound-run.js";

let sound: SoundRun;
beforeAll(async () => {
  sound = await soundRun();
});

type Damage = (history: Writable<History>, epochs: SoundRun["epochs"]) => void;

/** What the checker finds after a damage. */
function findings(damage: Damage = () => {}): string[] {
  const history = structuredClone(sound.history);
  const epochs = structuredClone(sound.epochs);
  damage(history, epochs);
  return checkHistory(history, new CommitLog(epochs)).map(tellViolation);
}

function propertiesFound(damage: Damage): Property[] {
  return findings(damage).map((text) => text.split(":")[0] as Property);
}

/** A part that the sound run has. */
function part<T>(list: readonly T[], index: number): T {
  const found = list.at(index);
  if (found === undefined) throw new Error(`there is no part ${index}`);
  return found;
}

const stream = (history: Writable<History>, index = 0) => part(history.streams, index);
const message = (history: Writable<History>, index: number, streamIndex = 0) =>
  part(stream(history, streamIndex).messages, index);
const commit = (history: Writable<History>, index: number, streamIndex = 0) => {
  const found = message(history, index, streamIndex).commit;
  if (found === undefined) throw new Error(`message ${index} has no commit`);
  return found;
};
const write = (history: Writable<History>, index: number) => part(history.writes, index);
const attempt = (history: Writable<History>, index: number) => part(write(history, index).attempts, 0);
const sighting = (history: Writable<History>, index: number) => part(part(history.mirrors, 0).sightings, index);

it("a sound run passes", () => {
  expect(findings()).toEqual([]);
});

/** Each would go unnoticed by a checker that is blind to its property. */
const DAMAGES: readonly (readonly [Property, string, Damage])[] = [
  [
    "ordered",
    "updates in the wrong order",
    ({ streams: [one] }) => one?.messages.splice(4, 2, ...swapped(one.messages)),
  ],
  ["ordered", "a heartbeat from before", (history) => (message(history, 4).heartbeat = { position: at(3) })],
  ["unique", "a message sent twice", ({ streams: [one] }) => one?.messages.splice(2, 0, part(one.messages, 1))],
  [
    "unique",
    "an item that nothing changed",
    (history) => message(history, 5).items.push(part(message(history, 1).items, 0)),
  ],
  [
    "unique",
    "an item twice in one update",
    (history) => message(history, 0).items.push(part(message(history, 0).items, 0)),
  ],
  ["reliable", "an update left out", (history) => stream(history).messages.splice(1, 1)],
  ["reliable", "an item left out", (history) => message(history, 5).items.pop()],
  ["reliable", "an item of a full update left out", (history) => message(history, 0, 3).items.pop()],
  [
    "reliable",
    "an item with another content",
    (history) => Object.assign(part(message(history, 1).items, 0), { version: "0" }),
  ],
  [
    "reliable",
    "a mirror with something that never was",
    (history) => (sighting(history, 2).digest = "0123456789abcdef"),
  ],
  ["reliable", "a mirror with another flag", (history) => sighting(history, 2).keys?.push("z")],
  ["atomic", "a lost begin", (history) => delete message(history, 1).begin],
  ["atomic", "a lost commit", (history) => delete message(history, 1).commit],
  ["atomic", "a lost part of a segment", (history) => (message(history, 3).items = [])],
  ["atomic", "a heartbeat within an update", ({ streams: [one] }) => one?.messages.splice(3, 0, part(one.messages, 4))],
  ["atomic", "an end within an update", (history) => delete message(history, -2).commit],
  ["resumable", "a delta from another position", (history) => message(history, 0, 1).items.shift()],
  ["resumable", "none for a stale position", (history) => (stream(history, 2).asked = at(7))],
  [
    "bookmarkable",
    "a heartbeat before its changes",
    (history) => (message(history, 4).heartbeat = { position: at(7) }),
  ],
  ["bookmarkable", "a heartbeat without a position", (history) => (message(history, 4).heartbeat = {})],
  [
    "digest",
    "a heartbeat with another digest",
    (history) => (message(history, 4).heartbeat = { position: at(6), digest: "0123456789abcdef" }),
  ],
  [
    "filter-correct",
    "an item of another environment",
    (history) => Object.assign(part(message(history, 1).items, 0), { environment: "staging" }),
  ],
  ["filter-correct", "an environment that does not exist", (history) => (stream(history, 3).environment = "nowhere")],
  ["converged", "a stream that stands still", (history) => stream(history, 1).messages.pop()],
  ["converged", "a mirror that stands still", (history) => part(history.mirrors, 0).sightings.pop()],
  ["converged", "a log that went on", (history) => (history.final = at(7))],
  ["digest", "a wrong digest", (history) => (commit(history, 1).digest = "0".repeat(16))],
  ["resynced", "a delta for another epoch", (history) => (message(history, 0, 3).begin = "delta")],
  ["resynced", "a delta for the future", (history) => (message(history, 0, 4).begin = "delta")],
  ["resynced", "everything at once for what is still to come", (history) => (stream(history, 4).openedAt = 600)],
  ["resynced", "a delta for nothing", (history) => (message(history, 0).begin = "delta")],
  ["monotonic", "a mirror that goes back", ({ mirrors: [one] }) => one?.sightings.push(part(one.sightings, 2))],
  ["monotonic", "a mirror that forgets", ({ mirrors: [one] }) => one?.sightings.push(part(one.sightings, 0))],
  ["log", "a revision left out", (_, epochs) => withCommits(epochs, (commits) => commits.splice(5, 1))],
  [
    "log",
    "a revision used twice",
    (_, epochs) => withCommits(epochs, (commits) => commits.splice(5, 0, part(commits, 5))),
  ],
  [
    "log",
    "a change from what never was",
    (_, epochs) => withCommits(epochs, (commits) => delete part(part(commits, 3).entry.changes, 0).before),
  ],
  ["durable", "a revision that never was", (history) => (commit(history, 0, 1).position = at(12))],
  ["durable", "an update before its commit", (history) => (message(history, 1).at = 390)],
  ["durable", "a mirror ahead of the commit", (history) => (sighting(history, 2).at = 390)],
  ["durable", "an acknowledgement ahead of the commit", (history) => (attempt(history, 6).endedAt = 690)],
  ["durable", "an answer at a revision that never was", (history) => (part(history.evaluations, 0).revision = 12)],
  ["acknowledged", "a lost write", (history) => (write(history, 6).id = "lost")],
  ["acknowledged", "a lost newest write", (_, epochs) => withCommits(epochs, (commits) => commits.pop())],
  ["acknowledged", "a write acknowledged elsewhere", (history) => (attempt(history, 6).outcome = acknowledged(6))],
  [
    "acknowledged",
    "a write that was acknowledged to change nothing, and changed something later",
    (history) => {
      attempt(history, 6).outcome = { kind: "unknown", reason: "" };
      Object.assign(write(history, 6), { mayChangeNothing: true });
      write(history, 6).attempts.push({ calledAt: 630, endedAt: 650, outcome: acknowledged(6) });
    },
  ],
  [
    "acknowledged",
    "a write that changed nothing twice",
    (history) => {
      const attempts = [7, 8].map((revision) => ({ calledAt: 900, endedAt: 950, outcome: acknowledged(revision) }));
      history.writes.push({ id: "w9", idempotent: true, mayChangeNothing: true, attempts });
    },
  ],
  ["acknowledged", "writes in the wrong order", (history) => (attempt(history, 5).calledAt = 790)],
  [
    "refused",
    "a refused write that is there",
    (history) => (attempt(history, 6).outcome = { kind: "refused", reason: "" }),
  ],
  ["once", "a write carried out twice", (history, epochs) => repeat(history, epochs)],
  ["compared", "a newer record overwritten", (history) => (write(history, 3).expectedRevision = 1)],
  ["fresh", "an answer older than an acknowledged write", (history) => (part(history.evaluations, 1).revision = 6)],
  ["fresh", "a stream older than what was shown", (history) => (stream(history).shownBefore = at(3))],
  [
    "answered",
    "a wrong answer by the server",
    (history) => (part(part(history.evaluations, 0).answers, 0).variant = "on"),
  ],
  ["answered", "a wrong answer by a mirror", (history) => (part(sighting(history, 2).answers ?? [], 0).variant = "on")],
  ["prompt", "a late first message", (history) => (stream(history).openedAt = -1_000)],
  ["prompt", "silence", (history) => (message(history, -1).at = 16_000)],
  [
    "prompt",
    "silence at the end",
    (history) =>
      Object.assign(stream(history), { end: { at: 16_000, how: "broken" }, messages: [message(history, 0)] }),
  ],
  ["ended", "an end without a goodbye", (history) => stream(history).messages.pop()],
  ["ended", "an end with OK", (history) => (stream(history).end = { at: 910, how: "ok" })],
  ["ended", "an end with another status", (history) => (stream(history).end = { at: 910, how: "failed" })],
  ["ended", "a message after the goodbye", ({ streams: [one] }) => one?.messages.push(part(one.messages, 4))],
  ["ended", "an environment said to be deleted", (history) => (message(history, -1).goodbye = "ENVIRONMENT_DELETED")],
];

describe("the checker sees", () => {
  for (const [property, name, damage] of DAMAGES) {
    it(`${name} (${property})`, () => {
      expect(propertiesFound(damage)).toContain(property);
    });
  }
});

it("sees a change that took too long, where a limit is set", () => {
  const found = (changeMs: number) => checkHistory(sound.history, new CommitLog(sound.epochs), { changeMs });
  expect(found(20)).toEqual([]);
  expect(found(5).map(({ property }) => property)).toContain("prompt");
});

describe("the checker allows", () => {
  it("a write whose outcome is not known to be there, or not", () => {
    expect(findings((history) => (attempt(history, 6).outcome = { kind: "unknown", reason: "" }))).toEqual([]);
    const absent = findings((history) => {
      history.writes.push({
        id: "w9",
        idempotent: true,
        attempts: [{ calledAt: 0, outcome: { kind: "unknown", reason: "" } }],
      });
    });
    expect(absent).toEqual([]);
  });

  it("a mirror that goes on in a restored epoch, at a lower revision", () => {
    const restored = new CommitLog(sound.epochs).epochs.get(RESTORED)?.environment("production")?.at(6)?.digest ?? "";
    const moved = findings(({ mirrors: [one] }) => {
      if (one === undefined) return;
      one.live = false;
      one.sightings.push({ at: 950, epoch: RESTORED, revision: 6, digest: restored });
    });
    expect(moved).toEqual([]);
  });

  it("a write that changed nothing to be acknowledged at another's revision", () => {
    const unchanged = (mayChangeNothing: boolean) =>
      findings((history) => {
        const attempts = [{ calledAt: 900, endedAt: 950, outcome: acknowledged(8) }];
        history.writes.push({ id: "w9", idempotent: true, mayChangeNothing, attempts });
      });
    expect(unchanged(true)).toEqual([]);
    expect(unchanged(false)).toHaveLength(1);
  });

  it("a write that changed nothing to change something later, when its idempotency key was forgotten", () => {
    const late = (keptIdempotencyKeys: number, othersCount: number) => {
      const history = structuredClone(sound.history) as Writable<History>;
      const attempts = [{ calledAt: 630, endedAt: 650, outcome: acknowledged(5) }];
      write(history, 6).attempts.push(...attempts);
      for (const each of history.writes) each.mayChangeNothing = write(history, 6) === each;
      for (let n = 0; n < othersCount; n++) {
        history.writes.push({ id: `n${n}`, idempotent: true, mayChangeNothing: true, attempts });
      }
      return checkHistory(history, new CommitLog(sound.epochs), { keptIdempotencyKeys }).length;
    };
    expect([late(3, 2), late(2, 0), late(3, 3)]).toEqual([1, 0, 0]);
  });

  it("a write to be carried out again when its idempotency key was forgotten", () => {
    const history = structuredClone(sound.history);
    const epochs = structuredClone(sound.epochs);
    repeat(history, epochs);
    expect(checkHistory(history, new CommitLog(epochs), { keptIdempotencyKeys: 1 })).toEqual([]);
  });
});

function acknowledged(revision: number): { kind: "acknowledged"; epoch: string; revision: number } {
  return { kind: "acknowledged", epoch: EPOCH, revision };
}

function swapped<T>(messages: readonly T[]): T[] {
  return [part(messages, 5), part(messages, 4)];
}

function withCommits(epochs: SoundRun["epochs"], damage: (commits: Writable<CommitsOf>) => void): void {
  damage(part(epochs, 0).commits as Writable<CommitsOf>);
}

type CommitsOf = SoundRun["epochs"][number]["commits"];

/** The write of revision 7 was tried twice, and made revision 8 too. */
function repeat(history: Writable<History>, epochs: SoundRun["epochs"]): void {
  delete write(history, 6).expectedRevision;
  write(history, 6).attempts.push({ calledAt: 720, endedAt: 810, outcome: acknowledged(8) });
  history.writes.pop();
  withCommits(epochs, (commits) => {
    part(commits, 7).entry.comment = "w7";
  });
}
