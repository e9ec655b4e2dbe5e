// Light or dark: the system's choice, until the button says otherwise.

import { byId } from "./dom";

const KEY = "semcomp-theme";

/** Applies the theme chosen last and wires the button. */
export function startTheme(): void {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const apply = (theme: string | null) => {
    if (theme) root.dataset["theme"] = theme;
    else delete root.dataset["theme"];
  };
  const isDark = () => (root.dataset["theme"] ?? (system.matches ? "dark" : "light")) === "dark";
  apply(remembered());
  byId("theme").addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    apply(theme);
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // A browser that keeps nothing still changes the theme for now.
    }
  });
}

function remembered(): string | null {
  try {
    const theme = localStorage.getItem(KEY);
    return theme === "light" || theme === "dark" ? theme : null;
  } catch {
    return null;
  }
}
