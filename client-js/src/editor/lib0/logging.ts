/** In the place of lib0's module of that name, whose colours are as large as an editor. */

export const BOLD = "";
export const UNBOLD = "";
export const ORANGE = "";
export const RED = "";

export const print = (...parts: unknown[]): void => console.log(...parts);
export const warn = (...parts: unknown[]): void => console.warn(...parts);
