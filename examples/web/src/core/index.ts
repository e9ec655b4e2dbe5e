// What the tests in node import: everything that needs no browser.
export * from "./adaptive.ts";
export * from "./ans.ts";
export * from "./bundle.ts";
export * from "./bytes.ts";
export * from "./coder.ts";
export * from "./container.ts";
export * from "./errors.ts";
export * from "./keepmask.ts";
export * from "./labelmap.ts";
export * from "./manifest.ts";
export * from "./memory.ts";
export * from "./notes.ts";
export * from "./png.ts";
export * from "./rounding.ts";
export * from "./spans.ts";
export * from "./symbolstream.ts";
export * from "./tables.ts";
