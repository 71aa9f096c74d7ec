// The choice of a language, which may have to be fetched.
import i18next from "i18next";
import { type Language, setLanguage } from "@/i18n";
import { warn } from "./toast";

export const chooseLanguage = (language: Language): void => {
  setLanguage(language).catch((error: unknown) => warn(i18next.t("problem.notLoaded"), error));
};
