// Elements of the page, found and made. Text is always set as text, never as markup: names may come from a file.

/** The element with this id. Throws where index.html has none. */
export function byId<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`index.html has no element #${id}`);
  return found as Element as T;
}

/** A new element with attributes and children; strings become text. */
export function make<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Shows or hides an element. */
export function show(element: Element, visible: boolean): void {
  element.toggleAttribute("hidden", !visible);
}

/** Lets the left and right arrow keys move focus among the buttons of a group, and chooses the one they reach. */
export function arrowKeys(group: HTMLElement, choose: (button: HTMLButtonElement) => void): void {
  group.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const buttons = [...group.querySelectorAll<HTMLButtonElement>("button:not([disabled], [hidden])")];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    if (!step || at < 0) return;
    event.preventDefault();
    const next = buttons[(at + step + buttons.length) % buttons.length]!;
    next.focus();
    choose(next);
  });
}

/** Runs `action` once calls have paused for `pause` milliseconds. */
export function debounce(action: () => void, pause: number): () => void {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = window.setTimeout(action, pause);
  };
}
