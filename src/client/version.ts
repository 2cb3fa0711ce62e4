/** The package's version: a constant, for a bundle has no package.json beside it. A test compares the two. */
export const clientVersion = "0.1.0";
