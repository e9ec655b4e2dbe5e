// The four kinds of error that reach the page. A message says what happened, what was seen and what to do.
import { ClientError } from "../api.ts";

export class FormatError extends ClientError {
  constructor(message: string) {
    super("format", message);
  }
}

export class ModelError extends ClientError {
  constructor(message: string) {
    super("model", message);
  }
}

export class ImageError extends ClientError {
  constructor(message: string) {
    super("image", message);
  }
}

export class MemoryError extends ClientError {
  constructor(message: string) {
    super("memory", message);
  }
}
