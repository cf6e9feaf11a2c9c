/** In the place of lib0's module of that name, which asks whether it runs in Node.js. */

export const isNode = false;
export const isBrowser = true;

/** Browsers have no variables of the environment. */
export const getVariable = (): null => null;
