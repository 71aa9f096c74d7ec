// The help of settings, which schemas give in English, in the language of the page. It is fetched for the first form.
import i18next from "i18next";
import { addTexts, type Language } from ".";

const HELP = "help";

async function load(language: Language): Promise<void> {
  if (language === "en" || i18next.hasResourceBundle(language, HELP)) return;
  try {
    const { default: help } = await import("./zh-CN/help");
    i18next.addResourceBundle(language, HELP, help);
  } catch {
    // a form with its help in English is more than none; the next one asks again
  }
}

export const loadHelp = (): Promise<void> => addTexts(load);

/** A description of a schema in one line, translated; one without a translation, such as a plugin's, stays English. */
export function helpText(description: string): string {
  const english = description.trim().replace(/\s+/g, " ");
  const help: Record<string, string> | undefined = i18next.getResourceBundle(i18next.language, HELP);
  return (help && Object.hasOwn(help, english) && help[english]) || english;
}
