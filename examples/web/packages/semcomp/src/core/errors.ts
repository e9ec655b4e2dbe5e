// The four kinds of error that reach the page. A message says what happened, what was seen and what to do.
import { SemcompError } from "../types.ts";

export class FormatError extends SemcompError {
  constructor(message: string) {
    super("format", message);
  }
}

export class ModelError extends SemcompError {
  constructor(message: string) {
    super("model", message);
  }
}

export class ImageError extends SemcompError {
  constructor(message: string) {
    super("image", message);
  }
}

export class MemoryError extends SemcompError {
  constructor(message: string) {
    super("memory", message);
  }
}
