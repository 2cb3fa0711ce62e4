import type { Random } from "../base/index.js";

/** So many of a list, or all if there are fewer, each as likely as any other. Changes the list's order. */
export function pickSome<T>(list: T[], count: number, random: Random): T[] {
  const picked = Math.max(0, Math.min(Math.floor(count), list.length));
  // The first steps of a shuffle: each place is given one of those that are left.
  for (let place = 0; place < picked; place++) {
    const from = place + Math.floor(random() * (list.length - place));
    const [here, there] = [list[place], list[from]];
    if (here === undefined || there === undefined) break;
    list[place] = there;
    list[from] = here;
  }
  return list.slice(0, picked);
}
