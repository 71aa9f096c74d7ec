// Language and theme, which this browser keeps.
import { Flex, Grid, Text } from "@chakra-ui/react";
import { useTranslation } from "react-i18next";
import { LANGUAGES, type Language } from "@/i18n";
import { type Mode, setMode, useMode } from "@/theme/mode";
import { Section } from "@/ui";
import { chooseLanguage } from "@/ui/language";
import { Segments } from "@/ui/segments";

const MODES: readonly Mode[] = ["system", "light", "dark"];

export function Appearance() {
  const { t, i18n } = useTranslation();
  const mode = useMode();
  return (
    <Section title={t("settings.appearance")}>
      <Grid templateColumns={{ base: "1fr", sm: "140px 1fr" }} gap={{ base: 2, sm: 5 }} alignItems="center">
        <Text color="fg.muted" id="settings-language">
          {t("settings.language")}
        </Text>
        <Flex>
          <Segments
            labelledBy="settings-language"
            value={i18n.language}
            onChange={(chosen) => chooseLanguage(chosen as Language)}
            options={Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))}
          />
        </Flex>
        <Text color="fg.muted" id="settings-theme">
          {t("nav.theme")}
        </Text>
        <Flex>
          <Segments
            labelledBy="settings-theme"
            value={mode}
            onChange={(chosen) => setMode(chosen as Mode)}
            options={MODES.map((one) => ({ value: one, label: t(`nav.theme_${one}`) }))}
          />
        </Flex>
      </Grid>
    </Section>
  );
}
