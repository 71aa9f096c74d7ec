// The languages of the page. English is in the first load, others are fetched when they are chosen.
import i18next from "i18next";
import { initReactI18next } from "react-i18next";
import en, { names } from "./en";
import { NAMES } from "./names";

export const LANGUAGES = { en: "English", "zh-CN": "简体中文" } as const;
export type Language = keyof typeof LANGUAGES;
const KEY = "burnish.language";

declare module "i18next" {
  interface CustomTypeOptions {
    defaultNS: "translation";
    resources: { translation: typeof en };
    returnNull: false;
  }
}

function preferred(): Language {
  const kept = localStorage.getItem(KEY);
  if (kept && kept in LANGUAGES) return kept as Language;
  return navigator.languages.some((one) => one.toLowerCase().startsWith("zh")) &&
    !navigator.language.toLowerCase().startsWith("en")
    ? "zh-CN"
    : "en";
}

type Loader = (language: Language) => Promise<void>;

async function loadTexts(language: Language): Promise<void> {
  if (language === "en" || i18next.hasResourceBundle(language, NAMES)) return;
  const { default: texts, names } = await import("./zh-CN");
  i18next.addResourceBundle(language, "translation", texts);
  i18next.addResourceBundle(language, NAMES, names);
}

const loaders = new Set<Loader>([loadTexts]);
const load = (language: Language) => Promise.all([...loaders].map((one) => one(language)));

/** Adds texts that only some screens need: they are loaded now, and with any language that is chosen later. */
export async function addTexts(loader: Loader): Promise<void> {
  loaders.add(loader);
  await loader(i18next.language as Language);
}

export async function setLanguage(language: Language): Promise<void> {
  await load(language);
  localStorage.setItem(KEY, language);
  await i18next.changeLanguage(language);
  document.documentElement.lang = language;
}

export async function startLanguage(): Promise<void> {
  const language = preferred();
  await i18next.use(initReactI18next).init({
    resources: { en: { translation: en, [NAMES]: names } },
    lng: "en",
    fallbackLng: "en",
    interpolation: { escapeValue: false }, // React escapes
    returnNull: false,
  });
  try {
    await load(language);
    await i18next.changeLanguage(language);
  } catch {
    // a page in English is more than none; the choice is kept for the next time
  }
  document.documentElement.lang = i18next.language;
}
