/**
 * The same text, as the copy that V8 keeps one of, and compares by its address alone. The literals of programs, the names of
 * properties and most short texts of parsed JSON are such copies; texts that were decoded from a message are not, and comparing
 * one of each goes through their characters, every time.
 *
 * To become the name of a property is the way to become one.
 */
export function intern(text: string): string {
  return Object.keys({ [text]: 0 })[0] ?? text;
}
