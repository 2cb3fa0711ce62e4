/** At most `count` of some elements, evenly spread over them. */
export function sampleEvenly<T>(all: readonly T[], count: number): readonly T[] {
  if (all.length <= count) return all;
  return Array.from({ length: count }, (_, index) => Math.ceil((index * all.length) / count)).flatMap((place) =>
    all.slice(place, place + 1),
  );
}
